output "instances" {
  description = "VMs by name: host and identifier."
  value = {
    for name, vm in merge(module.master.instances, module.worker.instances) : name => {
      host = var.instances[name].host
      vmid = vm.vm_id
    }
  }
}
