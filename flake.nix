{
  description = "Zero-touch bare-metal provisioning for NixOS clusters";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      packages = import ./nixos/packages.nix { inherit pkgs; };
      # The modules take their programs from here unless told otherwise.
      withPackages = module: {
        imports = [ module ];
        _module.args.centraPackages = packages;
      };
    in
    {
      packages.${system} = packages // {
        default = packages.boot-server;
      };

      nixosModules = {
        pxe-server = withPackages ./nixos/modules/pxe-server.nix;
        first-boot-automation = withPackages ./nixos/modules/first-boot-automation.nix;
        # Roles of nodes; each brings first-boot-automation.
        control-plane = withPackages ./nixos/profiles/control-plane.nix;
        worker = withPackages ./nixos/profiles/worker.nix;
        all-in-one = withPackages ./nixos/profiles/all-in-one.nix;
        # One disk, for disko.
        single-disk = ./nixos/profiles/single-disk.nix;
      };

      # mkNode makes a NodeSpec of a NixOS configuration, mkImage a boot image as a derivation.
      lib = import ./nixos/lib // {
        mkImage = import ./nixos/image.nix { inherit pkgs packages; };
      };

      checks.${system}.modules = pkgs.runCommand "centra-modules" { } ''
        ${pkgs.jq}/bin/jq --exit-status '[.[][]] | all' > $out <<< ${
          pkgs.lib.escapeShellArg (
            builtins.toJSON (
              map (test: import test { inherit (pkgs) lib; }) [
                ./nixos/tests/pxe-server.nix
                ./nixos/tests/first-boot.nix
                ./nixos/tests/examples.nix
              ]
            )
          )
        }
      '';

      devShells.${system}.default = pkgs.mkShell {
        inputsFrom = [ packages.initrd-agent ];
        packages = [ pkgs.rustup ];
      };
    };
}
