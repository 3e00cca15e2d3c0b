"""Bytes and words without which no shape of `triggers` that matters is there: cheap to look for, rare in calls."""

from __future__ import annotations

import re
from typing import Final

from .triggers import PROGRAMS, VERBS

#: Bytes that ordinary headers hardly ever have, and of which most attacks need one. O'Brien and a
#: User-Agent with parentheses pass this gate too: they pay for one more scan, not for a parse.
CHARACTERS: Final = r"[\t`$|{}\\^#&?'()%]"

# Words need no boundary: the rules decide, this only says whether they are worth asking. What a rule
# needs and is too common as a word ("set", "from") stands with its spaces, or is left out where the
# same rule needs a rarer one ("select").
_SQL: Final = """
select union insert delete drop truncate alter creat exec declare shutdown waitfor having where
benchmark sleep concat outfile dumpfile infile limit procedure merge grant revoke backup bulk values regexp
between information_schema pg_ xp_ sp_ sysobj syscol sysdat sysibm sys. mysql sqlite dbms utl_ master @@ rdb
all_ msys randomblob reverse collate handler rename attach pragma commit rollback raiserror prepare vacuum
analy explain begin sounds xmltype extractvalue
"""
_SHELL: Final = """
bash dash zsh ksh csh powershell pwsh cmd. cmd/ cmd+ curl wget ncat netcat socat telnet python perl php ruby chmod
chown mkfifo whoami uname ifconfig ipconfig nslookup tftp busybox netstat certutil bitsadmin rundll32 regsvr32
mshta cscript wscript systeminfo tasklist useradd adduser crontab iptables killall egrep openssl docker podman
kubectl gawk printf sudo nmap socket strace rsync tclsh jrunscript wish gdb emacs nano /dev /bin /sbin runtime
processb child_ s_client /inet subproc popen invoke new-obj download iex pty. tcpsocket fsockopen reboot halt
poweroff touch base64 asterisk kamc fs_cli mount wmic kill tail head node
"""
_FILES: Final = """
../ ..\\ ..; /.. ./. 2f.. ..2f etc/ /etc /proc /var /usr /root /home /opt /tmp /boot /sys /mnt /srv /lib
/apache /log /xampp /www /inetpub /nginx /mysql /program /windows /winnt /conf /volumes /private /users /web
/cgi /html /data c:/ d:/ e:/ f:/ passwd shadow .ini system winnt htaccess htpasswd _history bashrc .env id_rsa
id_dsa authorized web.config wp-config .conf web-inf global.asa kamctl .ssh .git boot. etc2f
"""
_WEB: Final = """
script document window innerhtml xmlhttp activex expression behavio @import data: href src= srcdoc style= alert
prompt confirm eval location autofocus formaction lowsrc dynsrc -moz view-source feed: settimeout setinterval
onerror onload onclick onfocus onblur onmouse onkey onpointer ontoggle onanim ontrans onbegin onend onstart
onstop onresize onscroll onsubmit onchange oninput onselect ondrag ondrop oncopy oncut onpaste onunload onpage
onhash onmessage onbefore onafter onwheel onplay onpause onshow onsearch ontouch onrepeat onreset ondbl onaux
oncontext ongot onlost onready onsee onstorage oncan oncue ondur onemp oninvalid onabort onact onfinish onbounce
onpop onoffline ononline onform onhelp onlayout onmedia onmove onnav onprog onprop onrate onrej onresume onrow
onstal onsusp onsync ontime ontrack onundo onunhand onurl onvol onwait onwebkit onzoom onclose ondata onfilter
onfull oncell onde throw accesskey contenteditable srcset
"""
_CODE: Final = """
jndi java freemarker getclass forname class. .class classloader config. request. self. __ this. db. mapreduce
return aced0005 ro0ab php: astest @grab xmlns xsl: xi: entity doctype cdata esi: new\\x20date do\\x20 starts-with
child:: parent:: self:: descendant ancestor following preceding import require === == != _self t(java
"""
_SIP: Final = """
zap/ dahdi/ iax2 iax/ local/ 0x set-cookie contenttype content-type:text content-type:\\x20text http/1.
"""
# What needs its surroundings to be more than part of a name.
_PHRASES: Final = (
    # conditions and clauses
    *(rf" {word}[ +]" for word in ("or", "and", "xor", "not", "like", "rlike", "in", "is", "set", "from", "into")),
    *(rf"\+{word}\+" for word in ("or", "and", "xor", "union", "select")),
    r"[+\t](?:or|and|xor|having|where)\b",
    r"[=:][ \"]?(?:or|and|not|if) ",
    r"\x22(?:or|and) ",
    r"\"(?:or|and|=|\|| or| and)",
    r"=\"=",
    r" (?:if|as) ",
    r"replace[ +]",
    r"(?:case|update|call|load)[ +]",
    r"(?:order|group)[ +]{1,20}by",
    r"[:;=/\x22](?:if|or|and|xor|having|where|not)[ +]",
    rf";[ +]{{0,9}}(?:{VERBS})[^a-z0-9=;>,_-]",
    rf";[ +]{{0,9}}(?:{PROGRAMS})(?:\.exe)?[ \"@;/)\r#+]",
    r": ?\"?[ +]*;|, ?\"[ +]*;|sips?:;",
    r"sip/[a-z_]",
    r"[0-9]--;",
    r"[a-z0-9\"]\"[ )]{0,4}[+-][ (]{0,4}[\"'@(0-9a-z]",
    r"\nvia: ?sip/2\.0/[a-z-]{2,8} [^;\r\n]*[<>\"]",
    r";tag=[\";,>\r]",
    # comments
    r"/\*",
    r"--[ \r\"@;>+]",
    # commands with few letters
    r"; ?(?:pwd|dir|who|env|set|net|ver|type|copy|del|su|dd|ll|nl|wc|od|mv|id|ls|ps|w )",
    r"; *(?:sh|rm|cp)",
    r"cat ",
    r"(?:cat|ls|rm|nc|sh|ssh|scp|dig|tar|sed|dd|env|ftp|vi|vim|awk|lua|ping|echo|find|grep|xxd|cmd|expect)(?:\.exe)?[ +]+[-/~.0-9hf<>]",
    # brackets: of paths, of lists, and angle brackets that open no URI or are followed by what follows none
    r"//[a-z]{1,30}\[",
    r"\[[@'\"]",
    r"\[[0-9]{1,4}\][^:;>\r]",
    r"<[^stu]|<s[^i]|<t[^e]|<u[^r]",
    r">[^\r\n;, ?]",
    r"[a-z0-9] ?> ?[/a-z]",
    r"; ?[\r\"@]",
)


def words() -> list[str]:
    """Patterns, one of which is in every header section in which a built-in rule fires on plain bytes."""
    literal = [
        re.escape(word).replace(r"\\x20", " ").replace(r"\ ", " ")
        for group in (_SQL, _SHELL, _FILES, _WEB, _CODE, _SIP)
        for word in group.split()
    ]
    return [*dict.fromkeys(literal), *_PHRASES]
