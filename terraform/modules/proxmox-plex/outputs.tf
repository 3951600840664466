output "instances" {
  description = "VMs by name: host and identifier."
  value = {
    for name, vm in merge(proxmox_virtual_environment_vm.master, proxmox_virtual_environment_vm.worker) : name => {
      host = var.instances[name].host
      vmid = vm.vm_id
    }
  }
}
