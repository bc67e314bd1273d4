"""Tunnels that scapy builds, layer by layer, are as long as the models say."""

from importlib.util import find_spec

PRIVATE = {"src": "10.1.0.7", "dst": "192.0.2.1"}
LENGTHS = sorted({*range(40, 1_500, 41), 40, 41, 46, 47, 59, 60, 61, 63, 64, 65, 1_279, 1_280, 1_419, 1_420, 1_421, 1_430,
                  1_431, 1_476, 1_477, 1_491, 1_492, 1_493, 1_499, 1_500, 4_000, 8_999, 9_000})


def test_a_tunnel_is_as_long_as_its_model_says(case):
    require(case, "scapy")
    found = differences(case, tunnels())
    assert found == {}, found


def test_an_encrypted_packet_is_as_long_as_its_model_says(case):
    require(case, "scapy")
    require(case, "cryptography")
    found = differences(case, encrypted())
    assert found == {}, found


def require(case, module):
    if not find_spec(module):
        case.skip(f"no Python module {module} (Debian: python3-{module})")


def differences(case, models):
    """{model: (length inside, length by scapy, by the model) of the first that differs}"""
    found = {}
    for model, (version, around) in models.items():
        billed = case.wanmeter("overhead", "calc", model, *LENGTHS).stdout.split()
        assert billed[::2] == [str(length) for length in LENGTHS], model
        for length, ours in zip(LENGTHS, map(int, billed[1::2])):
            theirs = len(bytes(around(packet(version, length))))
            if theirs != ours:
                found.setdefault(model, (length, theirs, ours))
    return found


def packet(version, length):
    from scapy.layers import inet, inet6
    from scapy.packet import Raw

    head = inet.IP(**PRIVATE, proto=253) if version == 4 else inet6.IPv6(src="2001:db8::8", dst="2001:db8::9", nh=253)
    whole = head / Raw(bytes(length - len(head)))
    assert len(whole) == length
    return whole


def tunnels():
    """{model: (version of the packet inside, what is made of it)}"""
    from scapy.contrib import geneve, gtp, mpls
    from scapy.layers import inet, inet6, l2, ppp, vxlan
    from scapy.layers.l2tp import L2TP
    from scapy.packet import Raw

    ether, ip, udp = l2.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02"), inet.IP(**PRIVATE), inet.UDP(chksum=0)
    ip6 = inet6.IPv6(src="2001:db8::1", dst="2001:db8::2")
    label, bottom = mpls.MPLS(label=16, s=0), mpls.MPLS(label=17, s=1)
    gtpu, session = gtp.GTP_U_Header(), gtp.GTPPDUSessionContainer(type=0, QFI=1)
    protocol = Raw(b"\0\x21")      # scapy's own PPP() compresses the field to a byte, which PPPoE forbids
    pppoe, control = ppp.PPPoE() / protocol, ppp.HDLC() / protocol
    return {
        "ethernet-l2-nopad": (4, lambda p: ether / p),
        "ethernet-l2-nopad+ether-vlan": (4, lambda p: ether / l2.Dot1Q(vlan=7) / p),
        "ethernet-l2-nopad+ether-vlan+ether-vlan": (4, lambda p: ether / l2.Dot1AD(vlan=7) / l2.Dot1Q(vlan=8) / p),
        "pppoe-l2": (4, lambda p: padded(ether / pppoe / p)),
        "gre4": (4, lambda p: ip / l2.GRE() / p),
        "gre4-key": (4, lambda p: ip / l2.GRE(key_present=1) / p),
        "gre4-key-seq-csum": (4, lambda p: ip / l2.GRE(key_present=1, seqnum_present=1, chksum_present=1) / p),
        "gre6": (4, lambda p: ip6 / l2.GRE() / p),
        "gretap4": (4, lambda p: ip / l2.GRE(proto=0x6558) / ether / p),
        "vxlan4": (4, lambda p: ip / udp / vxlan.VXLAN(vni=5) / ether / p),
        "vxlan6": (6, lambda p: ip6 / udp / vxlan.VXLAN(vni=5) / ether / p),
        "geneve4": (4, lambda p: ip / udp / geneve.GENEVE(vni=5) / ether / p),
        "gtpu4": (4, lambda p: ip / udp / gtpu / p),
        "gtpu6": (6, lambda p: ip6 / udp / gtpu / p),
        "gtpu4-seq": (4, lambda p: ip / udp / gtp.GTP_U_Header(S=1, seq=9) / p),
        "gtpu4-5g": (4, lambda p: ip / udp / gtp.GTP_U_Header(E=1, next_ex=0x85) / session / p),
        "gtpu6-5g": (4, lambda p: ip6 / udp / gtp.GTP_U_Header(E=1, next_ex=0x85) / session / p),
        "l2tpv2-4": (4, lambda p: ip / udp / L2TP(hdr=0, version=2) / control / p),
        "l2tpv2-4-len": (4, lambda p: ip / udp / L2TP(hdr="length", version=2) / control / p),
        "l2tpv2-6": (4, lambda p: ip6 / udp / L2TP(hdr=0, version=2) / control / p),
        "mpls1": (4, lambda p: bottom / p),
        "mpls2": (4, lambda p: label / bottom / p),
        "eompls-cw": (4, lambda p: label / bottom / mpls.EoMCW() / ether / p),
        "ip6in4": (6, lambda p: ip / p),
        "ip4in6": (4, lambda p: ip6 / p),
        "gre4+pppoe-l2": (4, lambda p: padded(ether / pppoe / ip / l2.GRE() / p)),
        "vxlan4-frag1500": (4, lambda p: b"".join(map(bytes, inet.fragment(ip / udp / vxlan.VXLAN() / ether / p, 1480)))),
        "gre4-frag1500": (4, lambda p: b"".join(map(bytes, inet.fragment(ip / l2.GRE() / p, 1480)))),
    }


def encrypted():
    from scapy.layers import inet, inet6, ipsec

    def tunnel(model, crypt, key_size, auth, is_natt=False):
        outer = inet6.IPv6(src="2001:db8::1", dst="2001:db8::2") if model.startswith("esp6") else inet.IP(**PRIVATE)
        natt = inet.UDP(sport=4500, dport=4500) if is_natt else None
        association = ipsec.SecurityAssociation(ipsec.ESP, spi=0x100, crypt_algo=crypt, crypt_key=bytes(key_size), auth_algo=auth,
                                                auth_key=bytes(32), tunnel_header=outer, nat_t_header=natt)
        return 4, association.encrypt

    gcm, cbc = ("AES-GCM", 20), ("AES-CBC", 16)
    sha1, sha256 = "HMAC-SHA1-96", "SHA2-256-128"
    made = {"esp4-gcm": (*gcm, "NULL"), "esp6-gcm": (*gcm, "NULL"), "esp4-natt-gcm": (*gcm, "NULL", True),
            "esp4-cbc-sha1": (*cbc, sha1), "esp4-cbc-sha256": (*cbc, sha256), "esp6-cbc-sha256": (*cbc, sha256),
            "esp4-natt-cbc-sha256": (*cbc, sha256, True)}
    return {model: tunnel(model, *words) for model, words in made.items()}


def padded(frame):
    return bytes(frame).ljust(60, b"\0")
