# A cluster of one, for tests: everything a control plane has, and work.
{
  imports = [ ./control-plane.nix ];

  services.first-boot-automation.role = "all-in-one";
}
