"""Messages as common phones, soft clients, gateways and proxies send them: none may want a closer look."""

from __future__ import annotations

from typing import Final

_TEXTS: Final = (
    # A desk phone registers, with an instance id and outbound.
    """REGISTER sip:pbx.example.com SIP/2.0
Via: SIP/2.0/UDP 192.168.1.50:5060;branch=z9hG4bK1723896418;rport
From: "201" <sip:201@pbx.example.com>;tag=2105334221
To: "201" <sip:201@pbx.example.com>
Call-ID: 0_1834523012@192.168.1.50
CSeq: 2 REGISTER
Contact: <sip:201@192.168.1.50:5060;line=1a2b3c>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-805ec0aabbcc>";reg-id=1
Authorization: Digest username="201", realm="pbx.example.com", nonce="5f8a+Vy/QzA9Zk1tT3BxUg==", uri="sip:pbx.example.com", response="0f4a3c2be1d0998877665544332211aa", algorithm=MD5, cnonce="0a4f113b", opaque="5ccc069c403ebaf9f0171e9517f40e41", qop=auth, nc=00000002
Allow: INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE, MESSAGE
Max-Forwards: 70
User-Agent: Yealink SIP-T46S 66.85.0.5
Expires: 3600
Allow-Events: talk,hold,conference,refer,check-sync
Mac: 80:5e:c0:aa:bb:cc
""",
    # A soft client calls an E.164 number through a trunk.
    """INVITE sip:+14155550100@sip.example.net;user=phone SIP/2.0
Via: SIP/2.0/TLS 10.0.0.8:49152;branch=z9hG4bK-524287-1---8d6f0a5b0e2d9c41;rport
Max-Forwards: 70
Contact: <sip:alice@10.0.0.8:49152;transport=tls>
To: <sip:+14155550100@sip.example.net;user=phone>
From: "Alice O'Brien" <sip:alice@sip.example.net>;tag=8f9d4a2e
Call-ID: QkU1MTk5YjE0NDM1MmU4NzkxMGRkYjY2OTY2.
CSeq: 1 INVITE
Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE
Content-Type: application/sdp
Supported: replaces, norefersub, extended-refer, timer, outbound, path, X-cisco-serviceuri
User-Agent: Bria 6 release 6.5.2 stamp 110123
Allow-Events: presence, kpml, talk
""",
    # A gateway, with preferred identity and phone-context.
    """INVITE sip:0301234567;phone-context=+49@trunk.example.de SIP/2.0
Via: SIP/2.0/TCP [2001:db8::1:2]:5060;branch=z9hG4bK.Xa8-3~kq
Max-Forwards: 69
From: "Müller Bau" <sip:+49301234567@trunk.example.de>;tag=as5d3f2a11
To: <sip:0301234567;phone-context=+49@trunk.example.de>
Call-ID: 4f2a9c11-77de-41a1-9b1c-aa22bb33cc44@[2001:db8::1:2]
CSeq: 102 INVITE
Contact: <sip:+49301234567@[2001:db8::1:2]:5060;transport=tcp>
P-Asserted-Identity: "Mueller" <sip:+49301234567@trunk.example.de;user=phone>
P-Preferred-Identity: <tel:+49301234567>
Privacy: id;critical
Supported: 100rel, timer, histinfo
Session-Expires: 1800;refresher=uac
Min-SE: 90
Content-Type: application/sdp
User-Agent: Cisco-SIPGateway/IOS-16.3.6
Date: Sun, 22 Nov 2026 10:00:00 GMT
""".replace("ü", "ue"),
    # A proxy keeps its customers alive.
    """OPTIONS sip:192.0.2.77:5060 SIP/2.0
Via: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK4a5f.0d7c3c54000000000000000000000000.0
To: <sip:192.0.2.77:5060>
From: <sip:pinger@198.51.100.1>;tag=uloc-1-5f8a2b3c-1a2b-3-4d5e6f70-5a6b7c8d
CSeq: 1 OPTIONS
Call-ID: 2f1a7b3c-00a1b2c3-d4e5f607@198.51.100.1
Max-Forwards: 70
User-Agent: kamailio (5.6.3 (x86_64/linux))
Accept: */*
""",
    # A dial string with a hash, behind two proxies, forwarded.
    """INVITE sip:*21*0171555%23@voip.example.com SIP/2.0
Record-Route: <sip:198.51.100.1;lr;ftag=9f2;did=c41.7b22>
Record-Route: <sip:203.0.113.5:5070;transport=tcp;r2=on;lr=on>,<sip:203.0.113.5;r2=on;lr=on>
Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKcydzigwkX.1;i=3
Via: SIP/2.0/UDP 172.16.0.4:5062;received=203.0.113.44;rport=32011;branch=z9hG4bKnp1733-4a
From: "Smith & Sons, Ltd." <sip:5551000@voip.example.com;cpc=ordinary>;tag=9f2
To: "Voice Mail" <sip:*21*0171555%23@voip.example.com>
Call-ID: 29858147-465b0752@172.16.0.4
CSeq: 20 INVITE
Max-Forwards: 68
Contact: "Smith" <sip:5551000@172.16.0.4:5062;ob>;+sip.ice;reg-id=2
Diversion: <sip:5551000@voip.example.com>;reason=unconditional;counter=1;privacy=off;screen=no
History-Info: <sip:5551000@voip.example.com>;index=1, <sip:*21@voip.example.com;cause=302>;index=1.1
User-Agent: snomD785/10.1.54.13
Accept: application/sdp, application/dtmf-relay, multipart/mixed, text/plain
Content-Type: application/sdp
X-Serialnumber: 000413A1B2C3
P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=ffeeddccbbaa
""",
    """ACK sip:bob@192.0.2.4:5060;transport=udp SIP/2.0
Via: SIP/2.0/UDP 192.0.2.101:5060;branch=z9hG4bKnashds9;rport
Max-Forwards: 70
Route: <sip:198.51.100.1;lr>
From: Alice <sip:alice@atlanta.example.com>;tag=1928301774
To: Bob <sip:bob@biloxi.example.com>;tag=a6c85cf
Call-ID: a84b4c76e66710
CSeq: 314159 ACK
""",
    """BYE sip:bob@192.0.2.4 SIP/2.0
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks;rport
Max-Forwards: 70
From: "D'Angelo (Sales)" <sip:alice@atlanta.example.com>;tag=1928301774
To: <sip:bob@biloxi.example.com>;tag=a6c85cf
Call-ID: asidkj3ss
CSeq: 231 BYE
Reason: Q.850;cause=16;text="Normal call clearing"
User-Agent: JsSIP 3.9.0
""",
    """CANCEL sip:bob@192.0.2.4 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.101;branch=z9hG4bKnashds8
Max-Forwards: 70
From: "COVER JERRY & M" <sip:+15550100123@example.com>;tag=gK0c1a2b3c
To: <sip:bob@biloxi.example.com>
Call-ID: 1679412345_12345678@192.0.2.101
CSeq: 1 CANCEL
Reason: SIP;cause=200;text="Call completed elsewhere"
""",
    """SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK4b43c2ff8.1;received=192.0.2.3;rport=5060
Record-Route: <sip:198.51.100.1;lr>
From: "Anne-Marie St. Claire" <sip:alice@example.com>;tag=1928301774
To: Bob <sip:bob@biloxi.example.com>;tag=a6c85cf
Call-ID: a84b4c76e66710@pc33.example.com
CSeq: 314159 INVITE
Contact: <sip:bob@192.0.2.4>
Server: FPBX-16.0.40.7(18.20.0)
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH, MESSAGE, UPDATE
Supported: replaces, timer
Content-Type: application/sdp
""",
    """SIP/2.0 401 Unauthorized
Via: SIP/2.0/UDP 192.168.1.50:5060;branch=z9hG4bK1723896417;rport=1024;received=203.0.113.9
From: <sip:201@pbx.example.com>;tag=2105334221
To: <sip:201@pbx.example.com>;tag=as58f4201b
Call-ID: 0_1834523012@192.168.1.50
CSeq: 1 REGISTER
Server: Asterisk PBX 18.20.0
WWW-Authenticate: Digest algorithm=MD5, realm="ACME Telephony", nonce="1f9a6b2c/1733000000", opaque="", qop="auth"
""",
    """SIP/2.0 180 Ringing
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK4b43c2ff8.1
From: <tel:+15551234567>;tag=1928301774
To: "Conference Room 4 (2nd floor)" <sip:4@example.com>;tag=5
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE
Contact: <sip:4@192.0.2.4;transport=UDP;alias=192.0.2.4~5060~1>
User-Agent: AVM FRITZ!Box 7590 154.07.57 (Jul 10 2023)
Alert-Info: <urn:alert:source:external>
""",
    """NOTIFY sip:201@192.168.1.50:5060;line=1 SIP/2.0
Via: SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bK1d32hash4
Max-Forwards: 70
From: <sip:asterisk@203.0.113.1>;tag=31451098
To: <sip:201@192.168.1.50>;tag=87
Call-ID: 12013223@200.57.7.195
CSeq: 1 NOTIFY
Contact: <sip:asterisk@203.0.113.1:5060>
Event: message-summary
Subscription-State: active;expires=3599
Content-Type: application/simple-message-summary
User-Agent: Grandstream GXP2170 1.0.11.64
""",
    """SUBSCRIBE sip:202@pbx.example.com SIP/2.0
Via: SIP/2.0/TCP 192.168.1.51:5060;branch=z9hG4bKabc123;alias
Max-Forwards: 70
From: "Reception" <sip:201@pbx.example.com>;tag=12341234
To: <sip:202@pbx.example.com>
Call-ID: 32432udfidfjmk342
CSeq: 1 SUBSCRIBE
Contact: <sip:201@192.168.1.51:5060;transport=tcp>;methods="INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, UPDATE"
Expires: 600
Event: dialog;include-session-description
Accept: application/dialog-info+xml
User-Agent: PolycomVVX-VVX_410-UA/5.9.3.2857_0004f2aabbcc
Accept-Language: en
""",
)


def _whole(text: str) -> bytes:
    body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.4\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
    if "Content-Type: application/sdp" not in text:
        body = b""
    return text.replace("\n", "\r\n").encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


ORDINARY_MESSAGES: Final = tuple(_whole(text) for text in _TEXTS)
