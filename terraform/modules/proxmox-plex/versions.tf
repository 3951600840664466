terraform {
  # The first in which a check of one variable may look at another; OpenTofu or Terraform.
  required_version = ">= 1.9"

  required_providers {
    proxmox = {
      source  = "bpg/proxmox"
      version = "~> 0.78"
    }
  }
}
