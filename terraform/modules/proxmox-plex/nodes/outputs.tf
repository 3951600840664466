output "generations" {
  description = "Identifiers by node: another one after each change of its generation."
  value       = { for name, one in terraform_data.generation : name => one.id }
}

output "seed_ids" {
  description = "Volumes of the seeds that are created here, by node."
  value       = { for name, one in proxmox_virtual_environment_file.seed : name => one.id }
}

output "instances" {
  description = "The VMs by name, as the provider describes them."
  value       = proxmox_virtual_environment_vm.node
}
