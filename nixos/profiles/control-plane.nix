# A node that carries the cluster's state: Chainfire, FlareDB and IAM where their modules are there, etcd elsewhere.
{ lib, options, ... }:
let
  has = service: options.services ? ${service};
in
{
  imports = [ ./base.nix ];

  services =
    lib.genAttrs
      (lib.filter has [
        "chainfire"
        "flaredb"
        "iam"
        "plasmavmc"
        "k8shost"
        "flashdns"
      ])
      (_: {
        enable = lib.mkDefault true;
      })
    // {
      first-boot-automation = {
        role = lib.mkDefault "control-plane";
        # It takes the ports that etcd would.
        enableEtcd = lib.mkDefault (!has "chainfire");
      };
    };
}
