terraform {
  required_providers {
    proxmox = {
      source = "bpg/proxmox" # proxmox-plex pins the version
    }
  }
}
