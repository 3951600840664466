#!/usr/bin/env bash
# floor.sh up NAME IMAGE WORKERS [KUBECONFIG]
# floor.sh replace NAME IMAGE NODE [KUBECONFIG]
# floor.sh scale NAME IMAGE WORKERS
# floor.sh destroy NAME
#
# `bin/bench` compares plexctl with this script: it creates the cluster of `plexctl up` with the
# command line of `incus`, `kubeadm init` and `kubeadm join`, and precomputes nothing. IMAGE is the
# image that plexctl bakes for nodes; NAME begins with "floor", and so do the names of all objects.
# NODE is a number: 1 is the master; to replace it recreates the whole cluster. The cluster's
# kubeconfig goes to KUBECONFIG. Prints `instant WHAT SECONDS` since its start, on standard output.

set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
NODES=10.201.77 # .1 is the host's, .11 the master's
PODS=10.202
SERVICES=10.203.0
# What a container cannot satisfy.
IGNORED=Mem,NumCPU,Swap,SystemVerification
IGNORED+=,FileContent--proc-sys-net-bridge-bridge-nf-call-iptables
KUBEADM_CONFIG=/root/kubeadm.yaml
JOINS=8    # at the same time: more only wait for each other and for the master
REMOVALS=4 # processes that remove instances

instant() {
  local ms=$(($(now) - BEGAN))
  printf 'instant %s %d.%03d\n' "$1" $((ms / 1000)) $((ms % 1000))
}

# Milliseconds.
now() {
  local micro=${EPOCHREALTIME/[.,]/}
  echo "${micro%???}"
}

on() {
  local node=$1
  shift
  incus exec "$node" -- "$@"
}

cgroup_version() {
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then echo 2; else echo 1; fi
}

make_network() {
  incus network create "$NAME" ipv4.address="$NODES.1/24" ipv4.nat=true ipv4.dhcp=false \
    ipv6.address=none
}

# As plexctl/plan/resources/profile.py: what kubelet and containerd need of a container.
make_profile() {
  local devices=cgroup
  [[ $(cgroup_version) == 1 ]] || devices=cgroup2
  incus profile create "$NAME"
  incus profile edit "$NAME" <<YAML
config:
  security.privileged: "true"
  security.nesting: "true"
  raw.lxc: |-
    lxc.apparmor.profile=unconfined
    lxc.mount.auto=proc:rw sys:rw cgroup:rw:force
    lxc.$devices.devices.allow=a
    lxc.cap.drop=
devices:
  root: {type: disk, path: /, pool: default}
  eth0: {type: nic, network: $NAME, name: eth0}
  kmsg: {type: unix-char, source: /dev/kmsg, path: /dev/kmsg}
YAML
}

launch() {
  incus launch "$IMAGE" "$NAME$1" --profile "$NAME"
}

# configure NUMBER COUNT: the address, routes, names and pod network of a node, in one call.
configure() {
  local number=$1 count=$2 other routes='' hosts=''
  for ((other = 1; other <= count; other++)); do
    hosts+="$NODES.$((10 + other)) $NAME$other"$'\n'
    ((other == number)) ||
      routes+="ip route add $PODS.$other.0/24 via $NODES.$((10 + other))"$'\n'
  done
  on "$NAME$number" bash -s <<SCRIPT
set -e
echo $NAME$number >/etc/hostname
hostname $NAME$number
printf '127.0.0.1 localhost\n%s' '$hosts' >/etc/hosts
echo nameserver $NODES.1 >/etc/resolv.conf
ip link set eth0 up
ip address add $NODES.$((10 + number))/24 dev eth0
ip route add default via $NODES.1
$routes
nft -f - <<'NFT'
table ip floor {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr $PODS.$number.0/24 ip daddr $NODES.1 masquerade
    ip saddr $PODS.$number.0/24 ip daddr != { $PODS.0.0/16, $NODES.0/24 } masquerade
  }
}
NFT
mkdir -p /etc/cni/net.d
cat >/etc/cni/net.d/10-floor.conflist <<'JSON'
{
  "cniVersion": "1.0.0",
  "name": "floor",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "$PODS.$number.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": true}}
  ]
}
JSON
for i in {1..600}; do
  [[ -S /run/containerd/containerd.sock ]] && exit
  sleep 0.1
done
echo "containerd of $NAME$number does not run" >&2
exit 1
SCRIPT
}

kubeadm_config() {
  local driver=systemd
  [[ $(cgroup_version) == 2 ]] || driver=cgroupfs
  cat <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $NODES.11}
nodeRegistration:
  name: ${NAME}1
  criSocket: unix:///run/containerd/containerd.sock
  ignorePreflightErrors: [${IGNORED//,/, }]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: $NAME
kubernetesVersion: $(on "${NAME}1" kubeadm version -o short)
controlPlaneEndpoint: $NODES.11:6443
networking: {podSubnet: $PODS.0.0/16, serviceSubnet: $SERVICES.0/24}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: $driver
failCgroupV1: false
failSwapOn: false
evictionHard: {imagefs.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%}
imageGCHighThresholdPercent: 100
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
conntrack: {maxPerCore: 0, min: 0}
YAML
}

kubectl() {
  on "${NAME}1" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"
}

# join NUMBER COMMAND: the command is what kubeadm prints, given by standard input as it has a token.
join() {
  on "$NAME$1" bash -s <<<"$2 --node-name $NAME$1 --ignore-preflight-errors $IGNORED"
}

# join_all FIRST LAST: nobody who writes such a script waits for one after the other.
join_all() {
  local first=$1 last=$2 number command running=0
  command=$(on "${NAME}1" kubeadm token create --print-join-command)
  for ((number = first; number <= last; number++)); do
    if ((running == JOINS)); then
      wait -n
      running=$((running - 1))
    fi
    join "$number" "$command" >&2 &
    running=$((running + 1))
  done
  for (( ; running > 0; running--)); do
    wait -n
  done
}

# until_ready NUMBER…: a node that has joined may not be registered yet.
until_ready() {
  kubectl wait --for=create "${@/#/node/$NAME}" --timeout=300s >&2
  kubectl wait --for=condition=Ready "${@/#/node/$NAME}" --timeout=300s >&2
}

up() {
  local count=$(($1 + 1)) kubeconfig=${2-} number numbers
  make_network >&2
  make_profile >&2
  for ((number = 1; number <= count; number++)); do
    launch "$number" >&2
  done
  instant launched
  for ((number = 1; number <= count; number++)); do
    configure "$number" "$count" >&2
  done
  instant configured
  kubeadm_config | on "${NAME}1" tee "$KUBEADM_CONFIG" >/dev/null
  on "${NAME}1" kubeadm init --config "$KUBEADM_CONFIG" >&2
  instant initialised
  if [[ -n $kubeconfig ]]; then
    (umask 077 && on "${NAME}1" cat /etc/kubernetes/admin.conf >"$kubeconfig.new")
    mv "$kubeconfig.new" "$kubeconfig"
  fi
  join_all 2 "$count"
  instant joined
  mapfile -t numbers < <(seq "$count")
  until_ready "${numbers[@]}"
  instant ready
  kubectl -n kube-system rollout status deployment/coredns --timeout=300s >&2
  on "${NAME}1" python3 - "$SERVICES.10" kubernetes.default.svc.cluster.local "$SERVICES.1" \
    <"$HERE/ask_dns.py" >&2
  instant dns
}

replace() {
  local number=$1 kubeconfig=${2-} count
  count=$(instances | wc -l)
  if ((number == 1)); then
    destroy >&2
    up $((count - 1)) "$kubeconfig"
    return
  fi
  kubectl drain "$NAME$number" --ignore-daemonsets --delete-emptydir-data --force >&2
  kubectl delete node "$NAME$number" >&2
  incus delete --force "$NAME$number" >&2
  launch "$number" >&2
  configure "$number" "$count" >&2
  join "$number" "$(on "${NAME}1" kubeadm token create --print-join-command)" >&2
  until_ready "$number"
  instant ready
}

# The nodes that are there learn the way to the pods of the new ones.
scale() {
  local count=$(($1 + 1)) there number other routes='' numbers
  there=$(instances | wc -l)
  for ((number = there + 1; number <= count; number++)); do
    launch "$number" >&2
    routes+="ip route add $PODS.$number.0/24 via $NODES.$((10 + number))"$'\n'
  done
  instant launched
  for ((number = there + 1; number <= count; number++)); do
    configure "$number" "$count" >&2
  done
  for ((other = 1; other <= there; other++)); do
    on "$NAME$other" bash -es <<<"$routes" >&2
  done
  instant configured
  join_all $((there + 1)) "$count"
  instant joined
  mapfile -t numbers < <(seq "$count")
  until_ready "${numbers[@]}"
  instant ready
}

instances() {
  incus list --format csv --columns n "^${NAME}[0-9]+\$"
}

destroy() {
  local found
  mapfile -t found < <(instances)
  ((${#found[@]} == 0)) ||
    printf '%s\n' "${found[@]}" | xargs -P "$REMOVALS" -n 8 incus delete --force
  ! incus profile show "$NAME" >/dev/null 2>&1 || incus profile delete "$NAME"
  ! incus network show "$NAME" >/dev/null 2>&1 || incus network delete "$NAME"
}

usage() {
  sed -n '2,/^$/s/^#\( \|$\)//p' "${BASH_SOURCE[0]}"
  exit "$1"
}

BEGAN=$(now)
exec </dev/null # `incus` would read its configuration there
NAME=${2-}
[[ $NAME =~ ^floor[a-z]*$ ]] || usage 2
IMAGE=${3-}
case $1:$# in
  up:4 | up:5) up "${@:4}" ;;
  replace:4 | replace:5) replace "${@:4}" ;;
  scale:4) scale "$4" ;;
  destroy:2) destroy >&2 ;;
  *) usage 2 ;;
esac
