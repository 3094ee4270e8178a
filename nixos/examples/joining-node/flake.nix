# A worker that joins the cluster of ../bootstrap-cluster when it is powered on.
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
    {
      nixosConfigurations.node04 = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          disko.nixosModules.disko
          centra.nixosModules.worker
          centra.nixosModules.single-disk
          {
            networking.hostName = "node04";
            services.first-boot-automation = {
              # Without Chainfire's module the cluster is one of etcd.
              enableEtcd = true;
              clusterConfig = {
                cluster_name = "prod-cluster";
                leader_url = "https://node01.example.com:2379";
                raft_addr = "10.0.200.20:2380";
                node_fqdn = "node04.example.com";
                network.cluster = "10.0.200.0/24";
              };
            };
            system.stateVersion = "25.11";
          }
        ];
      };

      nodes.node04 = centra.lib.mkNode {
        name = "node04";
        match.serial = "CZ10000004";
        nixosConfiguration = self.nixosConfigurations.node04;
        substituters = [ "http://10.0.100.10:8080/cache" ];
        trustedPublicKeys = [ "cache-1:0000000000000000000000000000000000000000000=" ];
        # Exactly one disk must fit, or nothing is touched.
        select.main = {
          rotational = false;
          size = ">= 400G";
        };
      };
    };
}
