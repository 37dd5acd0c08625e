"""Real servers for the tests, from packages: `from tests.servers import opensearch`.

places.py      where things lie, who owns a run, locks, processes that outlive their starter
java.py        a Java that OpenSearch can use
artifacts.py   OpenSearch from Maven artifacts, laid out once
node.py        one node: start, kill, pause, resume
opensearch.py  clusters of nodes, and the one server that a whole test run shares
security.py    the same with TLS and users: certificates, the security plugin's configuration
watchdog.py    ends the servers of a run that is gone
"""
