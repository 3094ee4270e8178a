# A node that carries work and none of the cluster's state.
{ imports = [ ./base.nix ]; }
