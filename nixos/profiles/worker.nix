# A node that carries work: it joins Chainfire where its module is there, and nothing else.
{ lib, options, ... }:
{
  imports = [ ./base.nix ];

  services =
    lib.genAttrs
      (lib.filter (service: options.services ? ${service}) [
        "chainfire"
        "plasmavmc"
        "k8shost"
        "flashdns"
      ])
      (_: {
        enable = lib.mkDefault true;
      })
    // {
      first-boot-automation.role = lib.mkDefault "worker";
    };
}
