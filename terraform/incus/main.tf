# A plex on Incus hosts, as plexctl applies it. terraform.tfvars.json has all variables.

variable "config_dir" {
  description = "Folder with client.crt, client.key and servercerts/<host>.crt, like that of the command `incus`. Null: that folder."
  type        = string
}

variable "hosts" {
  description = "Incus servers, by name: unix:///var/lib/incus/unix.socket or https://10.0.0.7:8443."
  nullable    = false
  type        = map(object({ address = string }))
}

# The module has the types of these variables and checks them.
variable "plex" {}
variable "acls" {}
variable "networks" {}
variable "profiles" {}
variable "volumes" {}
variable "instances" {}

provider "incus" {
  config_dir                   = var.config_dir
  generate_client_certificates = false
  accept_remote_certificate    = false # only a pinned certificate is trusted

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
  acls      = var.acls
  networks  = var.networks
  profiles  = var.profiles
  volumes   = var.volumes
  instances = var.instances
}

output "instances" {
  description = "Nodes by name: host and status."
  value       = module.incus.instances
}
