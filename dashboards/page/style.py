"""The page's style sheet: one column of text and figures, light and dark, from 390 pixels to a wall, and on paper."""

from __future__ import annotations

from dashboards.figures.palette import DARK, FONT, HEAT, INK, MUTED, PAPER, RULE, TRAIN, VALID

_NAMES = {"paper": PAPER, "ink": INK, "muted": MUTED, "rule": RULE, "train": TRAIN, "valid": VALID}
_NAMES |= {f"heat{place}": colour for place, colour in enumerate(HEAT)}
_LIGHT = "".join(f"--{name}:{colour};" for name, colour in _NAMES.items()) + "--wash:#f5f2ea;color-scheme:light;"
_DARK = "".join(f"--{name}:{DARK[colour]};" for name, colour in _NAMES.items()) + "--wash:#1b1f24;color-scheme:dark;"

STYLE = (
    f":root{{{_LIGHT}--sans:{FONT};"
    "--serif:Charter,'Iowan Old Style','Palatino Linotype',Palatino,Georgia,'Liberation Serif',serif}"
    f":root[data-theme=dark]{{{_DARK}}}"
    f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{_DARK}}}}}"
    f"@media print{{:root,:root[data-theme=dark],:root:not([data-theme=light]){{{_LIGHT}}}}}"
    """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:56px;background:var(--paper)}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 var(--serif)}
main,.masthead,footer{max-width:1180px;margin:0 auto;padding:0 28px}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;background:var(--paper);padding:8px;z-index:9}
.masthead{padding-top:40px}
.eyebrow{font:600 12px/1.4 var(--sans);letter-spacing:.08em;text-transform:uppercase;color:var(--muted);margin:0}
h1{font-size:36px;line-height:1.15;font-weight:600;letter-spacing:-.01em;margin:6px 0 10px;overflow-wrap:anywhere}
h2{font-size:24px;line-height:1.25;font-weight:600;margin:0 0 6px}
h2 .synthetic{font-size:11px;border-width:1px;padding:3px 5px;margin-left:6px;position:relative;top:-2px}
h3{font:600 14px/1.4 var(--sans);margin:26px 0 4px}
h4{font:600 13px/1.4 var(--sans);margin:0 0 4px}
p{margin:0 0 10px;max-width:74ch;overflow-wrap:anywhere}
.lede{font-size:20px;line-height:1.5;max-width:62ch}
.lede strong{font-weight:600;overflow-wrap:anywhere}
.nowrap{white-space:nowrap}
.synthetic{display:inline-block;font:600 12px/1 var(--sans);letter-spacing:.03em;border:1.5px solid var(--valid);
color:var(--valid);border-radius:3px;padding:4px 7px;vertical-align:middle}
section{border-top:1px solid var(--rule);padding:30px 0 34px;min-width:0}
section:first-of-type{border-top:0}
.reading,.note{color:var(--muted);font-size:15px}
.bar{position:sticky;top:0;z-index:5;background:var(--paper);border-bottom:1px solid var(--rule);margin-top:20px}
.bar div{max-width:1180px;margin:0 auto;padding:8px 28px;display:flex;flex-wrap:wrap;gap:8px 18px;align-items:center}
.bar nav{display:flex;gap:16px;flex:1 1 auto;overflow-x:auto;font:14px/1.4 var(--sans)}
a{color:inherit;text-decoration-color:var(--muted);text-underline-offset:3px}
.bar nav a{text-decoration:none;color:var(--muted);padding:4px 0;white-space:nowrap}
.bar nav a:hover{color:var(--ink)}
label{font:13px/1.4 var(--sans);color:var(--muted);display:inline-flex;gap:8px;align-items:center;max-width:100%}
select,button{font:13px/1.4 var(--sans);color:var(--ink);background:var(--paper);border:1px solid var(--muted);
border-radius:4px;padding:4px 9px;min-height:30px;max-width:100%;min-width:0}
button{cursor:pointer}
button:hover,select:hover{background:var(--wash)}
:focus-visible{outline:2px solid var(--train);outline-offset:2px}
.controls{display:flex;flex-wrap:wrap;gap:8px 20px;margin:10px 0 14px}
.scroll{overflow-x:auto;max-width:100%}
.scroll.more{-webkit-mask-image:linear-gradient(to left,transparent,#000 44px);
mask-image:linear-gradient(to left,transparent,#000 44px)}
.scroll+.reading,.scroll+.note,.scroll+.fold{margin-top:10px}.fold ol{font-size:14px;color:var(--muted);margin:6px 0}
table{border-collapse:collapse;font:14px/1.45 var(--sans);font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:0 0 6px}
th,td{text-align:left;padding:5px 16px 5px 0;vertical-align:top;border-bottom:1px solid var(--rule)}
thead th{font-weight:600;font-size:12px;color:var(--muted);border-bottom:1px solid var(--ink);vertical-align:bottom}
tbody th{font-weight:500}
table.best{width:100%}
table.best{font-size:13px}
table.best td,table.best th{white-space:nowrap;padding-right:11px}
table.best thead th,table.best td.apart{white-space:normal}table.best td.apart{min-width:92px}
table.best td:last-child{padding-right:0}
table.best small{display:block;font-size:12px;font-weight:400;color:var(--muted)}
table.best:not(.several) tbody tr:first-child :is(th,td){font-weight:600}
table.best .apart{border-left:1px solid var(--rule);padding-left:11px;color:var(--muted);font-weight:400!important}
table.plain thead{display:none}
table.plain td{overflow-wrap:anywhere}
table.plain th{color:var(--muted);white-space:nowrap}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:26px 28px;margin-top:14px}
.panels.wide{display:flex;flex-wrap:wrap;gap:26px 30px}
.panels.two{grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))}
.panel{min-width:0}.panels.two>.panel:only-child{max-width:760px}
table.progress td,table.progress th{border:0;padding:5px 9px 5px 0}
table.progress thead th{border-bottom:1px solid var(--rule)}
table.progress .corner{font-weight:400;white-space:nowrap}
.cell{display:inline-flex;flex-direction:column;gap:3px}
.cell b{font-weight:400;font-size:12px;line-height:1;color:var(--muted)}
path.finished,path.diverged,path.running,path.failed,path.waiting{stroke-width:1.2;fill:none}
path.finished{fill:var(--train);stroke:var(--train)}
path.diverged{fill:var(--valid);stroke:var(--valid)}
path.running{stroke:var(--train)}
path.failed{stroke:var(--valid);stroke-width:2.2}
path.waiting{stroke:var(--muted)}
.meter{height:8px;max-width:480px;background:var(--rule);border-radius:4px;overflow:hidden;margin:0 0 16px}
.meter span{display:block;height:100%;background:var(--train)}
.flow{padding:0;margin:6px 0 18px;list-style:none;display:flex;flex-wrap:wrap;gap:8px 14px;font:14px/1.45 var(--sans)}
.flow li{border:1px solid var(--rule);border-radius:4px;padding:6px 11px;max-width:46ch}
.flow b{display:block;font-size:12px;color:var(--muted);font-weight:600}
.frame+.scroll,.scroll+.scroll{margin-top:18px}
h3+.reading+.scroll>table>caption{display:none}
.strip{list-style:none;padding:0;margin:6px 0 14px;display:flex;flex-wrap:wrap;align-items:flex-end;gap:12px 16px}
.strip+h4,.samples+h4{margin-top:20px}.samples{display:flex;flex-wrap:wrap;gap:0 32px}
.of{margin:0;font:12px/1.4 var(--sans);color:var(--muted)}
.strip li{width:112px;font:11px/1.4 var(--sans);color:var(--muted);overflow-wrap:anywhere;break-inside:avoid}
.strip li span{display:block}
.strip img{display:block;max-width:96px;margin-bottom:5px;border-radius:2px}
.strip li img+span{color:var(--ink)}
.strip .gone{width:96px;height:64px;margin-bottom:5px;border:1px dashed var(--rule);padding:4px 6px}
.strip.pairs li{width:206px}.strip.pairs i{display:inline-block;width:102px;vertical-align:bottom;font-style:normal}
.fold>summary{margin-top:22px}
.exchanging .chart{content-visibility:auto}
.chart[data-picks]{cursor:pointer}
.picture,.picture svg{position:absolute;left:0;top:0;pointer-events:none}
.frame>.scroll{position:relative}
.easel{position:absolute;left:-9999px;top:0;visibility:hidden}
.key{list-style:none;padding:0;margin:4px 0 10px;display:flex;flex-wrap:wrap;gap:4px 20px;font:13px/1.5 var(--sans)}
.key li{display:inline-flex;gap:7px;align-items:center}
.key i{display:inline-block;width:26px;border-top:2px solid}
.key i.train{border-top-style:dotted;color:var(--train)}
.key i.valid{color:var(--valid)}
.key i.none{border-top-style:dashed;color:var(--muted)}
.key i.dot{width:9px;height:9px;border:1.5px solid var(--ink);border-radius:50%}
.key i.diamond{width:8px;height:8px;border-radius:0;transform:rotate(45deg)}
.legend{display:flex;flex-wrap:wrap;gap:4px 10px;align-items:center;font:13px/1.4 var(--sans);
font-variant-numeric:tabular-nums}
.ramp{width:150px;height:10px;border-radius:2px;background:linear-gradient(90deg,var(--heat0),var(--heat1),
var(--heat2),var(--heat3),var(--heat4),var(--heat5))}
.actions{display:flex;flex-wrap:wrap;gap:4px 8px;align-items:flex-start;margin-top:2px}
.actions button,.actions summary{font:12px/1.4 var(--sans);color:var(--muted);border:0;background:none;padding:4px 8px;
min-height:24px;text-decoration:underline;text-decoration-color:var(--rule);text-underline-offset:3px;cursor:pointer}
.actions summary{padding-left:0}
.actions details[open]{flex-basis:100%}
.data .scroll{max-height:340px;overflow:auto;margin-top:6px}
.data table{font-size:12px}
details>summary{cursor:pointer;font-family:var(--sans);font-size:14px}
.facts{columns:2 380px;column-gap:44px;margin-top:16px}
.fact{margin-bottom:26px}
.fact td{overflow-wrap:anywhere}.fact caption{white-space:nowrap}
pre{background:var(--wash);padding:12px 14px;border-radius:4px;overflow-x:auto;
font:13px/1.5 ui-monospace,Menlo,Consolas,'Liberation Mono',monospace;
white-space:pre-wrap;overflow-wrap:anywhere;margin:6px 0}
code{font:.88em ui-monospace,Menlo,Consolas,'Liberation Mono',monospace}
pre code{font:inherit}
ul.notes{padding-left:18px;margin:8px 0 12px;max-width:84ch}ul.notes code{white-space:nowrap}
.empty{font-size:18px;color:var(--muted)}
footer{color:var(--muted);font-size:14px;padding-bottom:50px;border-top:1px solid var(--rule);padding-top:16px}
[hidden]{display:none!important}
@media (max-width:640px){
html{scroll-padding-top:8px}
main,.masthead,footer,.bar div{padding-left:18px;padding-right:18px}
.masthead{padding-top:24px}h1{font-size:28px}.lede{font-size:18px}h2{font-size:21px}
.bar{position:static}.bar nav{flex-wrap:wrap;gap:2px 16px}
table.cards thead{display:none}
table.cards,table.cards caption,table.cards tbody,table.cards tr,table.cards th,table.cards td{display:block;border:0}
table.cards tr{border-top:1px solid var(--rule);padding:10px 0}
table.cards td,table.cards tbody th{white-space:normal!important;padding:1px 0!important;overflow-wrap:anywhere}
table.cards tbody th{font-weight:600}
table.cards td{display:grid;grid-template-columns:10.5em minmax(0,1fr);column-gap:.7em}
table.cards td::before{content:attr(data-label);color:var(--muted);font-weight:400}
.strip{gap:12px}.strip li{width:96px}
table.progress td,table.progress th{padding-right:4px}table.progress .corner{white-space:normal}
table.best .apart{border-left:0}
}
@media (min-width:1700px){main,.masthead,footer,.bar div{max-width:1560px}}
@media (min-width:2300px){main,.masthead,footer,.bar div{max-width:2040px}}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
.printing main{width:680px;max-width:none;padding:0}
.printing .chart{min-width:0!important}
.printing .panels{grid-template-columns:repeat(2,minmax(0,1fr))}
@page{margin:14mm}
@media print{.bar nav,.bar button,.actions,.skip,.controls:has(option[value=""]:checked){display:none}
.bar{position:static;border:0;margin:0}.bar div{width:680px;max-width:none;margin:0;padding:0}
select{appearance:none;border:0;padding:0;min-height:0;font-weight:600}.controls{margin:4px 0;break-after:avoid}
.ramp,.meter,.meter span{-webkit-print-color-adjust:exact;print-color-adjust:exact}body{font-size:10.5pt}
main,.masthead,footer{width:680px;max-width:none;margin:0;padding:0}
section{padding:14px 0}h2,h3,h4,.of{break-after:avoid}.chart{min-width:0!important}
.panels{grid-template-columns:repeat(2,minmax(0,1fr))!important}.strip{gap:8px 10px}.strip li{width:102px}
table.best,table.best thead th{font-size:6.6pt}table.best small{font-size:6.2pt}
table.best td,table.best th{padding-right:5px}table.best td.apart{min-width:0}
.reading,.legend,.key,caption,thead,.fold>summary{break-after:avoid}
section>.reading,section>.key:not(:has(+.controls)){break-after:auto}
.panel,.frame,.scroll,.reading,.note,.flow,pre,tr{break-inside:avoid}.scroll{overflow:visible}
.scroll:has(tbody){break-inside:auto}footer{break-before:avoid}
.scroll.more{-webkit-mask-image:none;mask-image:none}}
"""
)
