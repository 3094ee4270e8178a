# Three founders: powered on at once, they bootstrap one cluster. nix eval --json .#nodes.node01 shows a spec.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    disko.url = "github:nix-community/disko";
    disko.inputs.nixpkgs.follows = "nixpkgs";
    centra.url = "github:centra-cloud/centra";
    centra.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      disko,
      centra,
      ...
    }:
    let
      inherit (nixpkgs) lib;

      # Which machine each is, and where the others reach it.
      founders = {
        node01 = {
          serial = "CZ10000001";
          address = "10.0.200.10";
        };
        node02 = {
          serial = "CZ10000002";
          address = "10.0.200.11";
        };
        node03 = {
          serial = "CZ10000003";
          address = "10.0.200.12";
        };
      };
      fqdn = name: "${name}.example.com";
      peers = port: map (name: "${fqdn name}:${port}") (lib.attrNames founders);
    in
    {
      nixosConfigurations = lib.mapAttrs (
        name: founder:
        lib.nixosSystem {
          system = "x86_64-linux";
          modules = [
            disko.nixosModules.disko
            centra.nixosModules.control-plane
            centra.nixosModules.single-disk
            {
              networking.hostName = name;
              services.first-boot-automation.clusterConfig = {
                bootstrap = true;
                cluster_name = "prod-cluster";
                leader_url = "https://${fqdn name}:2379";
                raft_addr = "${founder.address}:2380";
                initial_peers = peers "2380";
                flaredb_peers = peers "2480";
                node_fqdn = fqdn name;
                network.cluster = "10.0.200.0/24";
              };
              system.stateVersion = "25.11";
            }
          ];
        }
      ) founders;

      nodes = lib.mapAttrs (
        name: nixosConfiguration:
        centra.lib.mkNode {
          inherit name nixosConfiguration;
          match.serial = founders.${name}.serial;
          substituters = [ "http://10.0.100.10:8080/cache" ];
          trustedPublicKeys = [ "cache-1:0000000000000000000000000000000000000000000=" ];
          # Exactly one disk must fit, or nothing is touched.
          select.main = {
            rotational = false;
            size = ">= 400G";
          };
        }
      ) self.nixosConfigurations;
    };
}
