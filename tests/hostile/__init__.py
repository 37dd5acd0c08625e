"""The product against an attacker who writes into its logs, a machine that fails and a careless operator."""
