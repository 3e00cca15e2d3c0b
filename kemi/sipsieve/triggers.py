"""Shapes in the raw header section that no ordinary message has, whatever a rule may make of them."""

from __future__ import annotations

from typing import Final

# Words that begin a statement of SQL; "update" is left out, since every Allow header names it.
_STATEMENTS: Final = (
    "union|select|insert|delete|drop|truncate|alter|create|declare|exec|execute|waitfor|having|shutdown|grant|"
    "revoke|backup|restore|merge|where"
)
# What a stacked statement of SQL begins with.
VERBS: Final = (
    "select|insert|update|delete|drop|create|alter|exec|execute|declare|set|shutdown|waitfor|truncate|grant|revoke|begin|call|use|if|"
    "merge|replace|backup|restore|copy|handler|load|rename|attach|pragma|commit|rollback|while|do|bulk|print|raiserror|prepare|lock|"
    "reset|vacuum|analyze|explain|show|desc"
)
# Programs that attacks start.
PROGRAMS: Final = (
    "tac|nl|more|less|head|tail|ssh|scp|dash|zsh|ksh|csh|lua|node|nodejs|mv|cp|chown|mknod|ll|export|route|arp|poweroff|killall|ping6|host|"
    "dig|tftp|ftp|egrep|awk|gawk|sed|sort|uniq|wc|xxd|od|base64|openssl|gcc|make|crontab|useradd|adduser|su|mount|dd|tar|gzip|zip|unzip|"
    "iptables|reg|wmic|certutil|bitsadmin|rundll32|regsvr32|mshta|cscript|wscript|asterisk|fs_cli|notepad|python[23]|time|nohup|command|"
    "eval|do|then|cat|curl|wget|ncat|netcat|socat|telnet|bash|python|perl|php|ruby|chmod|mkfifo|whoami|uname|id|ps|pwd|ls|dir|type|copy|echo|"
    "printf|netstat|ifconfig|ipconfig|reboot|ping|nslookup|busybox|sleep|touch|find|grep|passwd|sudo|systeminfo|tasklist|net|"
    "powershell|cmd|system|exec|passthru|popen|kamctl|kamcmd|set|env|kill|halt|start|calc|ver|nc|sh|rm|del|w|who|phpinfo|shutdown"
)
_FOLDERS: Final = (
    "etc|proc|var|usr|root|home|opt|tmp|dev|s?bin|boot|sys|mnt|srv|lib|apache2?|logs?|xampp|www|wwwroot|inetpub|"
    "nginx|php[0-9]?|mysql|program files|windows|winnt|conf|volumes|private|users|library|web|cgi-bin|html|data"
)

#: A name-addr or addr-spec without any finesse. (25.1)
ADDRESS_FORM: Final = (
    r"(?:(?:\"[^\"<>\r\n]*\" ?|[a-zA-Z0-9 .!%*_+`'~-]*)<(?:sips?|tel):[^<>\"\r\n]+>|(?:sips?|tel):[^<>\"\r\n ]+\r)"
)

#: A Via that does not begin with SIP/2.0/transport and a host.
VIA_FORMS: Final = (
    r"\nvia: ?(?:[^s ]|s[^i]|si[^p]|sip[^/]|sip/[^2]|sip/2[^.]|sip/2\.[^0]|sip/2\.0[^/]|sip/2\.0/[a-z-]*[^a-z -])",
    r"\nvia: ?sip/2\.0/[a-z-]* [^a-z0-9\[]",
)

#: Patterns for the raw header section, matched in any case. Cheap by construction: bytes and words, hardly
#: a repeat. A rule file marked `covered` holds rules that fire only where one of these does.
SHAPES: Final = (
    # Numbers that are none, and tags without a value.
    r"\nmax-forwards:[ \t]*(?:[^0-9 \t]|[0-9]{1,3}[^0-9\r \t]|[0-9]{4}|25[6-9]|2[6-9][0-9]|[3-9][0-9][0-9])",
    r";[ \t]*tag[ \t]*=[ \t]*[\r;,>\"]",
    # Characters that no host and no channel of Asterisk's has.
    r"@[^ \t\r\n<>;,\"@]{0,100}['(]|\nvia: ?sip/2\.0/[a-z-]{2,8} [^;\r\n]{0,100}[<>\"'()]|<script@",
    r"\b(?:pj)?sip/[a-z_][a-z0-9_.-]{0,40}/\+?[0-9]{5}",
    r"(?:@[a-z0-9.-]{1,255}|\]):[0-9]{0,9}[^0-9;>?\r\n \t,\"/&]",
    # Bytes of no ordinary header value.
    r"[{}|^`$]",
    # A per cent sign that is neither %23, the # of dial strings, nor "50 % of".
    r"%(?:[^2 \t\r\n\")]|2[^3])",
    # An opening bracket that no URI follows, markup that closes, redirections.
    r"<[a-z0-9+.-]{0,40}[^a-z0-9+.:@-]",
    r"<(?:svg|xi|xsl|v|x|html|esi|php|o|xss|math|t|rdf|html5?|script|style|a):",
    r">[ \t]*[^;,\r\n \t\"?]",
    r"[-?%\]/]>",
    r">[ \t]*\"[^;,>\r\n \t]",
    # A quote that stands where no name has one, or before a word of SQL.
    r"'[^a-z]",
    r"[^a-z]'",
    r"['\"][ \t]{0,4}\)*[ \t]{0,4}(?:x?or|and|r?like|is|in|not|having|union|group|order|limit|where|between|div|mod|regexp|sounds|"
    r"as|into|collate|procedure)\b",
    r"\n(?:user-agent|server|subject|organization|x-[a-z0-9-]{1,40}):[^\r\n]*\"",
    r"\"[ \t]{0,4}\)*[ \t]{0,4}(?:(?:[=!]{1,3}|&&|[*/~])[ \t(]{0,4}[\"'@0-9(a-z]|#)",
    r"\"[ \t]{0,4}\)*[ \t]{0,4}[+-][ \t(]{0,4}[\"'@(0-9a-z]",
    # Words of SQL.
    rf"\b(?:{_STATEMENTS})[^a-z0-9=,;>.@:/-]",
    r"\bupdate\b[^,\r\n]{1,90}\bset\b",
    r"\b(?:insert|replace)[^a-z\r\n]{1,20}into\b",
    r"\b(?:order|group)\b[^a-z\r\n]{1,20}by\b",
    r"\blimit[ \t+]+[0-9]",
    r"\b(?:x?or|and|not|having|where)\b[a-z0-9_'\"@. \t)(+!~-]{1,40}(?:=|!=|[<>]=|<>|\bis\b|like\b|\bbetween\b|\bin[ \t]?\(|"
    r"[<>][ \t]?[0-9])",
    r"\b(?:x?or|and|having|where)[ \t+]+(?:true\b|not\b|[-+~!(@]*[0-9])",
    r"[0-9)%][ \t]*(?:\b(?:or|and|xor|like|rlike|regexp|between|in|is|div|mod|sounds|procedure|having|where)\b|&&)",
    rf";[ \t+)]*(?:{VERBS})[^a-z0-9=;>,_-]",
    r"@@[a-z]",
    r"\b(?:xp|sp|pg|utl|dbms|sqlite)_[a-z]",
    r"\binformation_schema|\bsys(?:objects|columns|databases|ibm|\.[a-z])|\bmysql\.|\ball_(?:tab|user)|\bmaster\.|\bmsysaccess|(?:from|using)[ \t+]+dual\b|"
    r"\bsqlite_|\binto[ \t]+(?:out|dump)file|\bload_file|\bload[ \t]+data",
    r"\bcase\b[^\r\n]{1,80}\bwhen\b",
    r"--[ \t\"'@>+]|['\")]--|--\r|[0-9 ]--;|\bif[ \t+]+[0-9]+=",
    r"/\*[^\r\n,;]|[\"'0-9)][ \t]*/\*",
    r"\bsleep[ \t]*\(|\bbenchmark[ \t]*\(",
    r"\*/[^*]",
    r"0x[0-9a-f]{2}",
    # Calls and brackets of code, of LDAP filters, of XPath.
    r"[a-z_]\(|[0-9]\([ \t]*['\"@)]|\b(?:md5|sha[0-9]{1,3}|crc32|popen[0-9])[ \t]*\(",
    r"[a-z_][ \t+]+\([ \t+]{0,3}(?:\)|['\"@*/.(-]|[0-9]{1,9}[,)(]|0x|[a-z_]{1,30}[ \t]{0,4}[(,=\[]|(?:distinct|document|window|this)\b)",
    r"\([ \t]?(?:[&|!*]|[a-z0-9_]{1,40}[ \t]?[=<>~])|\*[ \t]?[)|&]|\)[ \t]?\([ \t]?[a-z]*[&|!*=]|\)\(|\)\)[%(]|@\(",
    r"//[a-z]{1,30}\[|::[a-z*]|\[[ \t]?(?:@[a-z]|[0-9]{1,4}[ \t]?\]|position)|/\*\[",
    r"\[\[|#[ \t]?(?:set|include|parse|evaluate|foreach|exec|assign)\b|__[a-z]",
    r"===|[0-9)] ?== ?[0-9]|\bdb\.[a-z]|\bthis\.[a-z]|\breturn\b|\bmapreduce\b|\bnew[ \t]+date",
    r"\b(?:java\.[a-z]|freemarker|classloader|getclass|getruntime|forname|self\.[_a-z]|request\.[a-z]|config\.|_self|t\(java)",
    # Programs, shells, files.
    r";[ \t]*[a-z0-9.]{1,12}[ \t]+[^=; \t\r\n]",
    rf"[;&][ \t+({{'\"@!]{{0,10}}(?:{PROGRAMS})(?:\.exe)?[ \t\"'@&;|<>/)\r#+]",
    # A value that begins with a separator of the shell.
    r"(?:: ?|, ?)\"[ \t+]*[;&]|sips?:[;&]",
    r"[ \t+](?:/[a-z*~.?]|--?[a-z]|~/|\.\.?/|https?:|ftp:)",
    r"\b(?:nc|ncat|ping6?|telnet|ssh|s?ftp|tftp|curl|wget|dig|host|nslookup|rsync|scp|nmap)[ \t+]+(?:-|[0-9]{1,3}\.[0-9])",
    r"&&|[&;][ \t]*[\r\"@]|\n(?:from|to|f|t|m|contact|user-agent|server|subject|organization): ?\"?[ \t]*[;&]",
    r"[0-9][<>]&[0-9]|>>|>[ \t]?/|>&",
    r"/(?:bin|dev|inet)/[a-z]",
    rf"(?:^|[^a-z0-9/.])(?:/{{1,3}}|[a-z]:/{{1,4}})(?:{_FOLDERS})/[a-z0-9_.~*-]",
    r"[^a-z0-9][a-z]:/[a-z0-9_.$%~-]",
    r"\.\.|\./[^ ]",
    r"\b(?:passwd|system32|\.htaccess|\.htpasswd|authorized_keys|id_[rd]sa|wp-config|web-inf|boot\.ini|win\.ini|system\.ini|php\.ini|"
    r"my\.ini|desktop\.ini|global\.asa|kamctlrc|web\.config)|\.conf\b|\.bash|\.git/|\.ssh/|\.env\b|etc/[a-z]|proc/(?:self|version|cpu|net|[0-9])|"
    r"windows/|winnt/|\bhtaccess",
    r"\b(?:subprocess|fsockopen|tcpsocket|mkfifo|processbuilder|child_process|ztcp|s_client|proc_open|downloadstring|downloadfile|"
    r"new-object|socket\.(?:socket|connect)|pty\.spawn|net\.sockets|os\.[a-z]|io\.popen|invoke-|iex)",
    # Scripts and URLs that run or read something.
    r"script[ \t]{0,10}(?::|&)|\b(?:file|php|phar|zip|expect|glob|ogg|jar|netdoc|gopher|dict|compress\.zlib|local_file):/|\bdata:|"
    r"-moz-binding|\bexpression[ \t]*\(|\bbehaviou?r[ \t]*:|@import|\bsrcdoc|\bxlink:|\bformaction|\bview-source|\blowsrc|\bdynsrc|"
    r"j[ \t]*a[ \t]*v[ \t]*a[ \t]*s[ \t]*c|v[ \t]*b[ \t]*s[ \t]*c[ \t]*r",
    r"[ \t\"'`/+;,<>%&|(\\:@]on[a-z]{3,24}[ \t/+]{0,10}=[^\r\n]",
    r"\b(?:document|window|string|location)[ \t]*(?:\.[ \t]*[a-z]|\[|=)|\binnerhtml|\bxmlhttp|\bactivexobject|\bthrow[ \t]|=[ \t]*(?:alert|"
    r"prompt|confirm|eval)\b|\b(?:self|top|parent|this|frames)[ \t]*\[",
    r"\b(?:href|src|style|action|background|poster|autofocus|http-equiv|srcset|accesskey)[ \t]*=",
    r"\bsystem[ \t]+[\"'][a-z/:.]|\bxmlns|\bjndi",
    r"&#|&[a-z]{2,24};",
    r"[^\n](?:set-cookie|content-?type|content-?length|location)[ \t]*:|\bhttp/1\.[01][ \t]",
    r"&[ \t]{0,4}(?:zap|dahdi|sip|pjsip|iax2?|local|capi|mgcp|skinny|h323|console|agent|misdn|khomp|dongle|motif)/|"
    r"\b(?:zap|dahdi|iax2?|local)/[a-z0-9@-]|\b(?:trysystem|system|agi)\(",
    r"\bcmd(?:\.exe)?[ \t+]+/|\bbase64\b|\b(?:ba|da|z|k|c|tc|fi|a)?sh[ \t]+-",
    r"\b(?:o:[0-9]{1,4}:\"|a:[0-9]{1,4}:\{|aced0005|ro0ab)",
)

#: A text line of SDP that is more than words, a name, an address or a URL. An origin has numbers and an address
#: behind its name; a URL may have slashes, question and equals signs.
SDP_SHAPE: Final = (
    r"(?:^|\n)(?:[oise]=[^\r\n]*[^a-z0-9 ._:@,+\r\n-]|u=[^\r\n]*[^a-z0-9 ._:@,+/?=~\r\n-]|[oisue]=[^\r\n]*(?:\.\.|--|[@=+ ]/[a-z~.]|"
    r"[a-z]_[a-z]|__|@@|0x[0-9a-f])|[ise]=[^\r\n]*\.[a-z]|o=[^ \r\n]*\.[a-z]|"
    r"u=(?:[^h\r\n]|h[^t\r\n]|https?(?:[^s:\r\n]|:[^/\r\n]|:/[^/\r\n]))|"
    rf"[oisue]=[^\r\n]*\b(?:{_STATEMENTS}|update|or|and|xor|like|between|limit|order by|copy|javascript|vbscript|script|eval|system|"
    r"file|jndi|ro0ab[a-z0-9+/]*|aced0005[0-9a-f]*|friendly-scanner|sip-?vicious|sundayddr|sv(?:map|war|crack|crash)|sipcli|[a-z]:/|-[a-z]{1,6}|subprocess|mkfifo|ztcp|pty|tcpsocket|system32|throw|"
    rf"(?:{PROGRAMS})[ \t+]+[^ \r\n]))"
)
