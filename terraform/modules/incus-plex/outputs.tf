# What changes by itself, such as an address that a host sees only later, would be a change in every
# plan: it is not among them.
output "instances" {
  description = "Nodes by name: host and status (\"Running\" or \"Stopped\")."
  value = {
    for name, instance in merge(incus_instance.master, incus_instance.worker) : name => {
      host   = instance.remote
      status = instance.status
    }
  }
}
