"""The pod's network as read → topology (pure) → links, NAT and DHCP applied."""
