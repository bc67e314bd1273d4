"""Models that no program at hand builds or charges, beside their fields, written a second time from the standards."""

ETHERNET, FCS, PREAMBLE_AND_GAP, TAG, PPPOE, LLC_SNAP, AAL5 = 14, 4, 8 + 12, 4, 8, 10, 8
IPV4, IPV6, UDP = 20, 40, 8
LENGTHS = (*range(20, 1_600), 8_999, 9_000, 65_535)


def frame(length, *inside, least=60):
    """An Ethernet frame without its FCS, padded."""
    return max(length + ETHERNET + sum(inside), least)


def cells(length, payload=48, cell=53):
    return -(-length // payload) * cell


def blocks(length):
    """A byte more for each 64 begun, as cake reckons PTM."""
    return length + -(-length // 64)


def wireguard(length, outer, mtu):
    """Padded to 16 bytes, but not past the tunnel's MTU; header 16, tag 16."""
    last = length % mtu if length > mtu else length     # as Linux reckons what is longer than the MTU
    return length + min(-last % 16, mtu - last) + 16 + 16 + UDP + outer


# IEEE 802.3 (frames), RFC 2516 (PPPoE), RFC 2684 (AAL5), ITU-T G.984.3 and G.987.3 (GEM 5, XGEM 8), DOCSIS MULPI (MAC header 6, BPI+ 5),
# RFC 3931 and 4719 (L2TPv3), RFC 3032, RFC 7915, RFC 1662 (flag 1, address 1, control 1, protocol 2, FCS 2 or 4), RFC 2427,
# RFC 4326 (SNDU 4, CRC 4, pointer 1), EN 301 192 (section 12, CRC 4, pointer 1).
MODELS = {
    "ethernet-l2": frame,
    "ethernet-fcs": lambda n: frame(n) + FCS,
    "ethernet-wire": lambda n: frame(n) + FCS + PREAMBLE_AND_GAP,
    "ethernet-vlan-wire": lambda n: frame(n, TAG) + FCS + PREAMBLE_AND_GAP,
    "ethernet-qinq-wire": lambda n: frame(n, TAG, TAG) + FCS + PREAMBLE_AND_GAP,
    "pppoe-fcs": lambda n: frame(n, PPPOE) + FCS,
    "pppoe-wire": lambda n: frame(n, PPPOE) + FCS + PREAMBLE_AND_GAP,
    "pppoe-vlan-wire": lambda n: frame(n, PPPOE, TAG) + FCS + PREAMBLE_AND_GAP,
    "pppoe-llcsnap-fcs": lambda n: cells(LLC_SNAP + frame(n, PPPOE) + FCS + AAL5),
    "bridged-llcsnap-fcs": lambda n: cells(LLC_SNAP + frame(n) + FCS + AAL5),
    "pppoe-llcsnap-pad": lambda n: cells(LLC_SNAP + frame(n, PPPOE) + AAL5),
    "pppoa-vcmux": lambda n: cells(2 + n + AAL5),
    "pppoa-llc": lambda n: cells(4 + 2 + n + AAL5),
    "pppoe-vcmux": lambda n: cells(2 + ETHERNET + PPPOE + n + AAL5),
    "pppoe-llcsnap": lambda n: cells(LLC_SNAP + ETHERNET + PPPOE + n + AAL5),
    "bridged-vcmux": lambda n: cells(2 + ETHERNET + n + AAL5),
    "bridged-llcsnap": lambda n: cells(LLC_SNAP + ETHERNET + n + AAL5),
    "ipoa-vcmux": lambda n: cells(n + AAL5),
    "ipoa-llcsnap": lambda n: cells(8 + n + AAL5),
    "pppoe-ptm": lambda n: blocks(ETHERNET + PPPOE + n + FCS + 4),
    "bridged-ptm": lambda n: blocks(ETHERNET + n + FCS + 4),
    "docsis": lambda n: frame(n) + FCS,
    "docsis-mac": lambda n: 6 + frame(n) + FCS,
    "docsis-mac-bpi": lambda n: 6 + 5 + frame(n) + FCS,
    "gpon-gem": lambda n: 5 + frame(n) + FCS,
    "gpon-gem-vlan": lambda n: 5 + frame(n) + TAG + FCS,
    "xgspon-xgem": lambda n: 8 + -(-(frame(n) + FCS) // 4) * 4,
    "xgspon-xgem-vlan": lambda n: 8 + -(-(frame(n) + TAG + FCS) // 4) * 4,
    "wireguard4": lambda n: wireguard(n, IPV4, 1_420),
    "wireguard6": lambda n: wireguard(n, IPV6, 1_420),
    "wireguard4-mtu1440": lambda n: wireguard(n, IPV4, 1_440),
    "vxlan4-wire": lambda n: frame(n + IPV4 + UDP + 8 + ETHERNET) + FCS + PREAMBLE_AND_GAP,
    "mpls2-wire": lambda n: frame(n, 4, 4) + FCS + PREAMBLE_AND_GAP,
    "l2tpv3-ip4-eth": lambda n: n + IPV4 + 4 + 4 + ETHERNET,
    "l2tpv3-udp4-eth": lambda n: n + IPV4 + UDP + 4 + 4 + 4 + ETHERNET,
    "xlat46": lambda n: n - IPV4 + IPV6,
    "xlat46-frag": lambda n: n - IPV4 + IPV6 + 8,
    "ppp-hdlc": lambda n: 1 + 1 + 1 + 2 + n + 2,
    "ppp-hdlc-pfc-acfc": lambda n: 1 + 1 + n + 2,
    "ppp-hdlc-fcs32": lambda n: 1 + 1 + 1 + 2 + n + 4,
    "cisco-hdlc": lambda n: 1 + 1 + 1 + 2 + n + 2,
    "frame-relay": lambda n: 1 + 2 + 1 + 1 + n + 2,
    "dvb-ule": lambda n: cells(1 + 4 + n + 4, 184, 188),
    "dvb-mpe": lambda n: cells(1 + 12 + n + 4, 184, 188),
}
# Sixty-fourths of a byte: PPP 2 with PPPoE 6 in Ethernet 14, FCS 4, S 1, Ck 1, TC-CRC 2; 65 for each 64 (IEEE 802.3, clause 61.3).
PARTS = {"ptm-exact-pppoe": lambda n: (n + PPPOE + ETHERNET + FCS + 4) * 65, "ptm-exact-bridged": lambda n: (n + ETHERNET + FCS + 4) * 65}


def test_a_model_is_the_sum_of_its_fields(case):
    for name, fields in MODELS.items():
        assert calc(case, name) == [f"{length} {fields(length)}" for length in LENGTHS], name
    for name, parts in PARTS.items():
        assert calc(case, name) == [f"{length} {parts(length)}/64" for length in LENGTHS], name


def calc(case, name):
    return case.wanmeter("overhead", "calc", name, *LENGTHS).stdout.splitlines()
