# A cluster of one, for a laboratory: whatever the machine's only disk holds may be destroyed.
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
      nixosConfigurations.aio01 = nixpkgs.lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          disko.nixosModules.disko
          centra.nixosModules.all-in-one
          centra.nixosModules.single-disk
          {
            networking.hostName = "aio01";
            services.first-boot-automation.clusterConfig = {
              bootstrap = true;
              cluster_name = "lab";
              leader_url = "https://aio01:2379";
              raft_addr = "10.0.2.10:2380";
              initial_peers = [ "aio01:2380" ];
              flaredb_peers = [ "aio01:2480" ];
            };
            system.stateVersion = "25.11";
          }
        ];
      };

      nodes.aio01 = centra.lib.mkNode {
        name = "aio01";
        match.macs = [ "52:54:00:12:34:60" ];
        nixosConfiguration = self.nixosConfigurations.aio01;
        substituters = [ "http://10.0.100.10:8080/cache" ];
        trustedPublicKeys = [ "cache-1:0000000000000000000000000000000000000000000=" ];
        select.main.device = "/dev/nvme0n1";
        wipe.main = "wipe";
      };
    };
}
