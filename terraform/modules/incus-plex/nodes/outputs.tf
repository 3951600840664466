output "generations" {
  description = "Identifiers by node: another one after each change of its generation."
  value       = { for name, one in terraform_data.generation : name => one.id }
}

output "instances" {
  description = "The nodes by name, as the provider describes them."
  value       = incus_instance.node
}
