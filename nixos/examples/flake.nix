# One boot-server and one node. nix eval --json .#nodes.node-01 shows what the boot-server is told.
{
  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    disko.url = "github:nix-community/disko";
    disko.inputs.nixpkgs.follows = "nixpkgs";
    centra.url = "github:centra-cloud/centra";
    centra.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    inputs@{ self, nixpkgs, ... }:
    let
      nixos =
        modules:
        nixpkgs.lib.nixosSystem {
          system = "x86_64-linux";
          specialArgs = { inherit inputs; };
          inherit modules;
        };
    in
    {
      nixosConfigurations = {
        boot-server = nixos [ ./boot-server.nix ];
        node-01 = nixos [ ./node.nix ];
      };

      nodes.node-01 = inputs.centra.lib.mkNode {
        name = "node-01";
        match.macs = [ "52:54:00:12:34:56" ];
        nixosConfiguration = self.nixosConfigurations.node-01;
        substituters = [ "http://10.0.100.10:8080/cache" ];
        trustedPublicKeys = [ "cache-1:0000000000000000000000000000000000000000000=" ];
        # Exactly one disk must fit, or nothing is touched.
        select.main.serial = "S4EWNX0M123456";
        cluster = {
          node_id = "node-01";
          node_role = "control-plane";
          bootstrap = false;
          cluster_name = "example";
          leader_url = "https://10.0.100.20:2379";
          raft_addr = "10.0.100.21:2380";
          node_ip = "10.0.100.21";
        };
      };
    };
}
