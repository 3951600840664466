# Addresses of states from before nodes were a module of their own. Nothing is recreated.
moved {
  from = terraform_data.generation
  to   = module.master.terraform_data.generation
}

moved {
  from = terraform_data.lineage
  to   = module.worker.terraform_data.generation
}

moved {
  from = proxmox_virtual_environment_file.seed
  to   = module.master.proxmox_virtual_environment_file.seed
}

moved {
  from = proxmox_virtual_environment_vm.master
  to   = module.master.proxmox_virtual_environment_vm.node
}

moved {
  from = proxmox_virtual_environment_vm.worker
  to   = module.worker.proxmox_virtual_environment_vm.node
}
