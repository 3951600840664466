# A plex on the nodes of one Proxmox cluster, as plexctl applies it. All variables come from one
# terraform.tfvars.json.

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
  description = "File with the token's secret, for nobody else to read. It comes into no state and no plan."
  nullable    = false
  type        = string
}

# The module says what these are made of, and checks them.
variable "plex" {}
variable "hosts" {}
variable "instances" {}

provider "proxmox" {
  endpoint  = var.endpoint
  api_token = "${var.token}=${trimspace(file(var.token_file))}"
  insecure  = false # its authority is the file that SSL_CERT_FILE names
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
