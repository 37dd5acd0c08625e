#!/usr/bin/env bash
# An authority of your own and the certificates of one cluster, in the folder certs (or $CERTS):
#   bash certificates.sh NAME_OR_ADDRESS...   ca; node and dashboards, for these names; admin (changes the security configuration)
#   bash certificates.sh --client USER        a client certificate: whoever holds it is this user
# What is there stays as it is: remove a certificate to have it made anew. Keep ca.key and admin.key away from the servers.
set -euo pipefail
umask 077
folder=${CERTS:-certs} days=${DAYS:-730}
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

authority() {
  [ -e "$folder/ca.pem" ] && return
  openssl req -x509 "${key[@]}" -keyout "$folder/ca.key" -out "$folder/ca.pem" -subj "/O=Thap Canh/CN=authority" -days 3650
}

issue() {  # issue NAME USAGE [SUBJECT_ALTERNATIVE_NAMES]
  [ -e "$folder/$1.pem" ] && return
  openssl req "${key[@]}" -keyout "$folder/$1.key" -out "$folder/$1.csr" -subj "/CN=$1"
  printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\n%s\n' "$2" "${3:+subjectAltName=$3}" >"$folder/extensions"
  openssl x509 -req -in "$folder/$1.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -days "$days" \
    -extfile "$folder/extensions" -out "$folder/$1.pem"
  rm "$folder/$1.csr" "$folder/extensions"
}

names() {  # DNS:host,IP:address
  for name in "$@"; do
    case $name in
      *:*) echo -n "IP:$name," ;;
      *[!0-9.]*) echo -n "DNS:$name," ;;
      *) echo -n "IP:$name," ;;
    esac
  done
}

[ $# -gt 0 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$folder"
authority
if [ "$1" = --client ]; then
  issue "$2" clientAuth
else
  all=$(names "$@")
  issue node serverAuth,clientAuth "${all%,}"
  issue dashboards serverAuth "${all%,}"
  issue admin clientAuth
fi
chmod 644 "$folder"/*.pem
