# Arithmetic on IPv4 addresses as text.
let
  octetsOf =
    address:
    let
      parts = builtins.match "([0-9]{1,3})\\.([0-9]{1,3})\\.([0-9]{1,3})\\.([0-9]{1,3})" address;
      octets = map (text: builtins.fromJSON (strip text)) parts;
    in
    if parts == null || builtins.any (octet: octet > 255) octets then
      throw "${builtins.toJSON address} is not an IPv4 address"
    else
      octets;

  # JSON takes no leading zeros.
  strip = text: builtins.head (builtins.match "0*([0-9]+)" text);

  bitsOf =
    octet:
    {
      "0" = 0;
      "128" = 1;
      "192" = 2;
      "224" = 3;
      "240" = 4;
      "248" = 5;
      "252" = 6;
      "254" = 7;
      "255" = 8;
    }
    .${toString octet} or (throw "${toString octet} is no part of a network mask");
in
rec {
  # "255.255.255.0" is 24.
  prefixLength =
    mask:
    let
      step =
        state: octet:
        if state.ended && octet != 0 then
          throw "${mask} is not a network mask"
        else
          {
            bits = state.bits + bitsOf octet;
            ended = octet != 255;
          };
    in
    (builtins.foldl' step {
      bits = 0;
      ended = false;
    } (octetsOf mask)).bits;

  # "10.0.100.0" with "255.255.255.0" is "10.0.100.255".
  broadcast =
    network: mask:
    let
      pair = builtins.genList (n: {
        network = builtins.elemAt (octetsOf network) n;
        mask = builtins.elemAt (octetsOf mask) n;
      }) 4;
    in
    builtins.concatStringsSep "." (map (p: toString (builtins.bitOr p.network (255 - p.mask))) pair);

  # "10.0.100.0" with "255.255.255.0" is "10.0.100.0/24".
  cidr = network: mask: "${network}/${toString (prefixLength mask)}";
}
