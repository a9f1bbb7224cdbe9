"""One plan of rules (pure), two backends that apply it: nft, and legacy iptables."""
