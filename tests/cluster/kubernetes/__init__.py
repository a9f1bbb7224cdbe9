"""A Kubernetes of this machine alone: two nodes, made in seconds, gone without a trace.

::

    this machine's network namespace        etcd, kube-apiserver, kube-controller-manager,
      │                                     kube-scheduler, CoreDNS, volumes, files by HTTP
      └─ bridge bc-<name>, 10.243.N.1
           ├─ node0, 10.243.N.10            each in namespaces of its own: containerd, kubelet,
           └─ node1, 10.243.N.11            kube-proxy and the pods

node0's pods have ordinary addresses; those on node1 have a /32 and the gateway 169.254.1.1, as
Calico gives them. `cluster.up(name)` leaves it running when the caller ends, and
`cluster.down(name)` removes it, from any process: all that a name owns is found by that name.
"""
