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
  from = incus_instance.master
  to   = module.master.incus_instance.node
}

moved {
  from = incus_instance.worker
  to   = module.worker.incus_instance.node
}
