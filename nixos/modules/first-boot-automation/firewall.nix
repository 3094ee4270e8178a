# The ports of the services that this node is a member of.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.first-boot-automation;
  services = import ./services.nix { inherit lib config; };
  ports = lib.unique (lib.concatMap (service: [ service.port ] ++ service.clusterPorts) services);
  networks = cfg.allowedNetworks;
  isV6 = lib.hasInfix ":";
  listed = lib.concatMapStringsSep "," toString ports;

  nftRule =
    family: networks:
    lib.optionalString (
      networks != [ ]
    ) "${family} saddr { ${lib.concatStringsSep ", " networks} } tcp dport { ${listed} } accept\n";
  iptablesRule =
    network:
    let
      iptables = if isV6 network then "ip6tables" else "iptables";
    in
    lib.optionalString (config.networking.enableIPv6 || !isV6 network) ''
      ${iptables} -w -A nixos-fw -p tcp -s ${network} -m multiport --dports ${listed} -j nixos-fw-accept
    '';
  nftables = config.networking.nftables.enable;
in
{
  options.services.first-boot-automation = {
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Open the ports of the enabled services: clients, Raft, gossip.";
    };

    allowedNetworks = mkOption {
      type = types.listOf (types.strMatching "[0-9a-fA-F.:]+(/[0-9]{1,3})?");
      default = lib.optionals (cfg.clusterConfig != null) (lib.attrValues cfg.clusterConfig.network);
      defaultText = lib.literalExpression "the CIDRs of clusterConfig.network";
      example = [ "10.0.200.0/24" ];
      description = "The ports are open for these networks only; for all where it is empty.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.openFirewall && ports != [ ]) {
    networking.firewall = lib.mkMerge [
      (lib.mkIf (networks == [ ]) { allowedTCPPorts = ports; })
      (lib.mkIf (networks != [ ] && nftables) {
        extraInputRules =
          nftRule "ip" (lib.filter (network: !isV6 network) networks) + nftRule "ip6" (lib.filter isV6 networks);
      })
      (lib.mkIf (networks != [ ] && !nftables) {
        extraCommands = lib.concatMapStrings iptablesRule networks;
      })
    ];
  };
}
