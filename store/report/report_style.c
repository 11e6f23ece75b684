/* store/report/report_style.c
 * The style sheet and the script of the report, as text. */
#include "store/report/report_style.h"

#include <stddef.h>

const char *const report_style[] = {
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d5d"
    "ae0;--soft:#f4f6f8;--link:#0b57a4;--good:#176f41;--bad:#a8321d;--full:#33639c;"
    "--quant:#a8321d;--rest:#176f41;--ctl:#7a5c00}\n",
    "@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ec;--dim:#a6b0b"
    "a;--line:#3a424b;--soft:#1d2228;--link:#8fbcf5;--good:#62cf98;--bad:#ff9482;--"
    "full:#8fb6ea;--quant:#ff9482;--rest:#62cf98;--ctl:#e2bd55}}\n",
    "*{box-sizing:border-box}\n",
    "body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,-a"
    "pple-system,\"Segoe UI\",Roboto,\"Liberation Sans\",sans-serif}\n",
    "main{max-width:1120px;margin:0 auto;padding:1.4rem 1.2rem 4rem}\n",
    "h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0 .3rem;text-wrap:balance}\n",
    "h2{font-size:1.25rem;margin:2.6rem 0 .7rem;padding-top:.5rem;border-top:2px so"
    "lid var(--line)}\n",
    "h3{font-size:1rem;margin:1.3rem 0 .35rem}\n",
    "p{margin:.4rem 0;max-width:78ch}\n",
    "a{color:var(--link)}a:focus-visible,summary:focus-visible,select:focus-visible"
    ",input:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outli"
    "ne-offset:2px}\n",
    ".sub,figcaption{color:var(--dim);font-size:.875rem}\n",
    ".lead p{font-size:1.05rem;margin:.55rem 0}\n",
    "nav{font-size:.9rem;margin:.8rem 0 1.2rem}nav a{display:inline-block;margin:0 "
    ".9rem .2rem 0}\n",
    ".big{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap"
    ":.8rem;margin:1rem 0}\n",
    ".big div{background:var(--soft);border-radius:8px;border-top:4px solid var(--l"
    "ine);padding:.6rem .9rem .7rem}\n",
    ".big .full{border-color:var(--full)}.big .quant{border-color:var(--quant)}.big"
    " .restored{border-color:var(--rest)}\n",
    ".big b{display:block;font-size:1.9rem;line-height:1.25;font-variant-numeric:ta"
    "bular-nums}\n",
    ".big span{display:block;color:var(--dim);font-size:.875rem}\n",
    ".warn{border-left:4px solid var(--bad);background:var(--soft);padding:.45rem ."
    "8rem;border-radius:0 6px 6px 0}\n",
    ".note{border-left:4px solid var(--line);background:var(--soft);padding:.45rem "
    ".8rem;border-radius:0 6px 6px 0;font-size:.9rem}\n",
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px"
    "),1fr));gap:1rem 2rem;align-items:start}\n",
    ".curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24"
    "0px),1fr));gap:.8rem 1.2rem}\n",
    "figure{margin:.4rem 0;min-width:0}figure svg{display:block;width:100%;max-widt"
    "h:560px;height:auto}\n",
    ".curves svg{max-width:340px}.wide svg{max-width:900px;min-width:600px}\n",
    "svg text{fill:var(--fg);font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,"
    "\"Liberation Sans\",sans-serif}\n",
    "svg .d{fill:var(--dim)}svg .b{font-weight:700}svg .e{text-anchor:end}svg .m{te"
    "xt-anchor:middle}\n",
    "svg .g{stroke:var(--line);fill:none}svg .cf{fill:var(--full);stroke:var(--full"
    ")}svg .cq{fill:var(--quant);stroke:var(--quant)}svg .cr{fill:var(--rest);strok"
    "e:var(--rest)}svg .cc{fill:var(--ctl);stroke:var(--ctl)}\n",
    "svg .hb{fill:url(#hb);stroke:var(--bad)}svg .hg{fill:url(#hg);stroke:var(--goo"
    "d)}svg .o{paint-order:stroke;stroke:var(--bg);stroke-width:3px}svg .ll{fill:no"
    "ne;stroke:var(--rest);stroke-width:1.8;stroke-dasharray:5 3}svg .lq{fill:none;"
    "stroke:var(--quant);stroke-width:1.8}svg .l{fill:none;stroke:var(--full);strok"
    "e-width:1.5}\n",
    ".defs{position:absolute}.sb{stroke:var(--bad)}.sg{stroke:var(--good)}\n",
    "table{border-collapse:collapse;font-size:.9rem;min-width:100%}\n",
    "caption{text-align:left;color:var(--dim);font-size:.875rem;padding-bottom:.2re"
    "m}\n",
    "th,td{text-align:left;padding:.32rem .6rem;border-bottom:1px solid var(--line)"
    ";vertical-align:top}\n",
    "th{color:var(--dim);font-weight:600;vertical-align:bottom}\n",
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowra"
    "p}\n",
    "tr.main td,tr.main th{font-weight:700;background:var(--soft)}\n",
    "th.n{white-space:normal}td.m,th.m{text-align:center}th[scope=row]{color:var(--"
    "fg)}sup{line-height:0}.vh{position:absolute;width:1px;height:1px;overflow:hidd"
    "en;clip-path:inset(50%)}\n",
    ".scroll{overflow-x:auto;position:relative}.nw{white-space:nowrap}\n",
    "details.twin{font-size:.9rem;margin:.1rem 0 .6rem}details.twin>summary{color:v"
    "ar(--link);font-size:.85rem;padding:.2rem 0}\n",
    "summary{cursor:pointer}\n",
    "form{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:start;background:v"
    "ar(--soft);border-radius:8px;padding:.7rem .9rem;margin:.8rem 0}\n",
    "form[hidden]{display:none}label{font-size:.85rem;color:var(--dim)}select,input"
    "{display:block;font:inherit;font-size:.9rem;color:var(--fg);background:var(--b"
    "g);border:1px solid var(--dim);border-radius:5px;padding:.25rem .4rem;max-widt"
    "h:100%;height:2.1rem}label{max-width:100%}\n",
    "#count{font-size:.9rem;margin:0;flex-basis:100%}\n",
    "h3.pat{margin:1.4rem 0 .2rem}\n",
    "details.p{border-bottom:1px solid var(--line)}details.p>summary{padding:.4rem "
    ".1rem;overflow-wrap:anywhere}details.p[hidden],h3[hidden]{display:none}\n",
    ".pt{font-family:ui-monospace,\"Liberation Mono\",monospace;font-weight:700;whi"
    "te-space:nowrap}\n",
    ".chip{display:inline-block;font-size:.8rem;border:1px solid var(--line);border"
    "-radius:9px;padding:0 .5rem;color:var(--dim);white-space:nowrap}\n",
    ".three{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17re"
    "m),1fr));gap:.7rem;margin:.5rem 0 1rem}\n",
    ".three>div{background:var(--soft);border-radius:6px;padding:.5rem .7rem;min-wi"
    "dth:0}\n",
    ".three h4{margin:0 0 .3rem;font-size:.9rem}\n",
    ".ans{font:13px/1.5 ui-monospace,\"Liberation Mono\",monospace;white-space:pre-"
    "wrap;overflow-wrap:anywhere;margin:0}\n",
    ".fault{display:inline-block;outline:2px solid var(--bad);outline-offset:1px;bo"
    "rder-radius:2px;margin:3px 1px;padding:0 3px;min-width:50%}\n",
    ".tag{display:block;font:600 11px/1.4 system-ui,sans-serif;color:var(--bad)}\n",
    "mark{background:none;color:inherit;font-weight:700;text-decoration:underline d"
    "ouble 2px var(--bad);text-underline-offset:3px}\n",
    ".same{color:var(--dim)}.ok{color:var(--good)}.no{color:var(--bad)}\n",
    "code,pre{font:13px/1.5 ui-monospace,\"Liberation Mono\",monospace;overflow-wra"
    "p:anywhere}\n",
    "pre{background:var(--soft);border-radius:6px;padding:.6rem .8rem;white-space:p"
    "re-wrap}\n",
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-siz"
    "e:.9rem;margin:.4rem 0}dt{color:var(--dim)}dt{overflow-wrap:anywhere}dd{margin"
    ":0;overflow-wrap:anywhere;min-width:0}\n",
    "@media(max-width:480px){main{padding:1rem .9rem 3rem}h1{font-size:1.4rem}dl{gr"
    "id-template-columns:1fr}dd{margin-bottom:.4rem}th,td{padding:.3rem .3rem}table"
    "{font-size:.82rem}}\n",
    "@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--soft:#f4f4f4;-"
    "-link:#000;--good:#176f41;--bad:#a8321d;--full:#33639c;--quant:#a8321d;--rest:"
    "#176f41;--ctl:#7a5c00}body{font-size:10.5pt}main{max-width:none;padding:0}form"
    ",nav{display:none!important}.scroll{overflow:visible}table{font-size:7pt}th,td"
    "{padding:.12rem .2rem}details.p{break-inside:avoid}.wide svg{min-width:0}figur"
    "e,tr,.three{break-inside:avoid}h2,h3{break-after:avoid}details::details-conten"
    "t{content-visibility:visible;display:block;height:auto}details.twin{display:no"
    "ne}a{text-decoration:none}}\n",
    NULL,
};

const char *const report_script[] = {
    "(function(){'use strict';\n",
    "var form=document.getElementById('filter');if(!form)return;\n",
    "var all=Array.prototype.slice.call(document.querySelectorAll('details.p')),nam"
    "es=['pattern','category','step'];\n",
    "form.hidden=false;\n",
    "function read(){var s={};location.hash.slice(1).split('&').forEach(function(pa"
    "rt){var k=part.indexOf('=');if(k>0){try{s[part.slice(0,k)]=decodeURIComponent("
    "part.slice(k+1))}catch(e){}}});return s}\n",
    "function show(s){var n=0,q=(s.q||'').toLowerCase();\n",
    "all.forEach(function(d){var on=names.every(function(k){return!s[k]||d.getAttri"
    "bute('data-'+k)===s[k]})&&(!q||d.textContent.toLowerCase().indexOf(q)>=0);d.hi"
    "dden=!on;if(on)n++});\n",
    "document.querySelectorAll('h3.pat').forEach(function(h){h.hidden=!all.some(fun"
    "ction(d){return!d.hidden&&d.getAttribute('data-pattern')===h.getAttribute('dat"
    "a-pattern')})});\n",
    "document.getElementById('count').textContent=n+' of '+all.length+' shown'}\n",
    "function apply(){var s=read();\n",
    "if(s.p!==undefined){show({});names.concat('q').forEach(function(k){form.elemen"
    "ts[k].value=''});var d=document.getElementById('p='+s.p);if(d){d.open=true;d.s"
    "crollIntoView()}return}\n",
    "names.concat('q').forEach(function(k){var e=form.elements[k];e.value=s[k]||'';"
    "if(e.value!==(s[k]||''))s[k]=''});show(s);\n",
    "if((s.pattern||s.category||s.step||s.q)&&!form.contains(document.activeElement"
    "))document.getElementById('problems').scrollIntoView()}\n",
    "form.addEventListener('input',function(){var parts=[];names.concat('q').forEac"
    "h(function(k){var v=form.elements[k].value;if(v)parts.push(k+'='+encodeURIComp"
    "onent(v))});history.replaceState(null,'','#'+(parts.join('&')||'problems'));sh"
    "ow(read())});\n",
    "form.addEventListener('submit',function(e){e.preventDefault()});\n",
    "all.forEach(function(d){d.addEventListener('toggle',function(){if(d.open&&loca"
    "tion.hash.slice(0,2)!=='#p='&&document.activeElement&&d.contains(document.acti"
    "veElement))history.replaceState(null,'','#'+d.id.slice(0,2)+encodeURIComponent"
    "(d.id.slice(2)))})});\n",
    "window.addEventListener('hashchange',apply);\n",
    "window.addEventListener('beforeprint',function(){all.forEach(function(d){d.ope"
    "n=true})});\n",
    "apply()})();\n",
    NULL,
};
