# A plex on the nodes of one Proxmox cluster, as plexctl applies it. terraform.tfvars.json has all
# variables.

variable "endpoint" {
  description = "API of the cluster: https://10.0.0.7:8006."
  nullable    = false
  type        = string
}

variable "token" {
  description = "Identifier of an API token: plexctl@pve!lab."
  nullable    = false
  type        = string
}

variable "token_file" {
  description = "Private file with the token's secret, which is in no state and no plan."
  nullable    = false
  type        = string
}

variable "first_id" {
  description = "The first VM identifier that may be used."
  default     = 9000
  nullable    = false
  type        = number
}

# The module has the types of these variables and checks them.
variable "plex" {}
variable "hosts" {}
variable "instances" {}

provider "proxmox" {
  endpoint  = var.endpoint
  api_token = "${var.token}=${trimspace(file(var.token_file))}"
  insecure  = false # SSL_CERT_FILE names the file of trusted certificates

  random_vm_ids      = true
  random_vm_id_start = var.first_id
  random_vm_id_end   = var.first_id + 99999
}

module "proxmox" {
  source = "../modules/proxmox-plex"

  plex      = var.plex
  hosts     = var.hosts
  instances = var.instances
}

output "instances" {
  description = "VMs by name: host and identifier."
  value       = module.proxmox.instances
}
