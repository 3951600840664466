"""Genesis: the contents of etcd with which a cluster is born.

`kubernetes-VERSION.json` is what a cluster of that version has in etcd once it has come to rest,
without anything of the cluster that it was recorded from: `record` makes it, `compose` fills it.
"""
