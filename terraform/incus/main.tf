# A plex on Incus hosts, as plexctl applies it. All variables come from one terraform.tfvars.json.

variable "config_dir" {
  description = "Folder with client.crt, client.key and servercerts/<host>.crt, as the command `incus` has it. Null: its own."
  type        = string
}

variable "hosts" {
  description = "Incus servers, by name: unix:///var/lib/incus/unix.socket or https://10.0.0.7:8443."
  nullable    = false
  type        = map(object({ address = string }))
}

# The module says what these are made of, and checks them.
variable "plex" {}
variable "networks" {}
variable "profiles" {}
variable "volumes" {}
variable "instances" {}

provider "incus" {
  config_dir                   = var.config_dir
  generate_client_certificates = false
  accept_remote_certificate    = false # a server is trusted by its pinned certificate, or not at all

  dynamic "remote" {
    for_each = var.hosts
    content {
      name    = remote.key
      address = remote.value.address
    }
  }
}

module "incus" {
  source = "../modules/incus-plex"

  plex      = var.plex
  networks  = var.networks
  profiles  = var.profiles
  volumes   = var.volumes
  instances = var.instances
}

output "instances" {
  description = "Nodes by name: host and status."
  value       = module.incus.instances
}
