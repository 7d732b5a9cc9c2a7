#!/bin/sh
# What Docker makes of a machine for one container with a published port (docker run -p 8090:8000), without Docker, which does
# not run in a container here: its bridge, the container's network, its rules, and the published port.
set -eu
ip link add docker0 type bridge
ip address add 172.30.99.1/24 dev docker0
ip link set docker0 up
ip netns add container
ip link add veth0 type veth peer name eth0 netns container
ip link set veth0 master docker0 up
ip -n container address add 172.30.99.2/24 dev eth0
ip -n container link set eth0 up
ip -n container link set lo up
ip -n container route add default via 172.30.99.1
unshare -m sh -c 'mount -o remount,rw /proc/sys && echo 1 >/proc/sys/net/ipv4/ip_forward'
# As dockerd loads them by iptables-nft, for one container.
nft -f - <<'END'
table ip nat {
    chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local counter jump DOCKER; }
    chain OUTPUT { type nat hook output priority -100; policy accept; ip daddr != 127.0.0.0/8 fib daddr type local counter jump DOCKER; }
    chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; oifname != "docker0" ip saddr 172.30.99.0/24 counter masquerade; }
    chain DOCKER { iifname != "docker0" tcp dport 8090 counter dnat to 172.30.99.2:8000; }
}
table ip filter {
    chain DOCKER { iifname != "docker0" oifname "docker0" ip daddr 172.30.99.2 tcp dport 8000 counter accept; }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        oifname "docker0" ct state related,established counter accept
        oifname "docker0" counter jump DOCKER
        iifname "docker0" counter accept
    }
    chain INPUT { type filter hook input priority filter; policy accept; }
}
END
mkdir -p /srv-of-container
echo "EXISTING CONTAINER" >/srv-of-container/index.html
systemd-run --quiet --unit=container ip netns exec container python3 -m http.server 8000 --directory /srv-of-container
