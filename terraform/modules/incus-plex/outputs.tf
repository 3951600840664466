# No value that changes by itself, such as an address that a host learns after the start: it would be
# a change in every plan.
output "instances" {
  description = "Nodes by name: host and status (\"Running\" or \"Stopped\")."
  value = {
    for name, instance in merge(module.master.instances, module.worker.instances) : name => {
      host   = instance.remote
      status = instance.status
    }
  }
}
