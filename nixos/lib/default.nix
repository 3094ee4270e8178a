# Functions that need nothing but Nix itself, so that they are tested without nixpkgs.
{
  mkNode = import ./mk-node.nix;
  layout = import ./layout.nix;
  ipv4 = import ./ipv4.nix;
}
