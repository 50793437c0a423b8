/// How all pages look: dark and light, on a phone, in print.
enum PageStyle {
    static let text =
        MetricPlot.pageStyle + """


            :root{color-scheme:light dark;--ink:#1f2328;--dim:#59636e;--paper:#ffffff;--soft:#f6f8fa;--line:#d1d9e0;--link:#0550ae;
            --good:#116329;--bad:#a40e26;--wait:#7d4e00;--mark:#ddf4ff}
            @media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--paper:#0d1117;--soft:#161b22;--line:#3d444d;
            --link:#79b8ff;--good:#3fb950;--bad:#ff8182;--wait:#d29922;--mark:#11294a}}
            *{box-sizing:border-box}
            body{margin:0;font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;color:var(--ink);background:var(--paper)}
            main,header,footer{padding:0 1.2rem;max-width:100rem;margin:0 auto}
            header{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;align-items:baseline;padding-top:.6rem;padding-bottom:.6rem;border-bottom:1px solid var(--line)}
            header nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem}header nav a[aria-current]{font-weight:600;color:var(--ink);text-decoration:none}
            .store{overflow-wrap:anywhere}
            footer{color:var(--dim);font-size:.85rem;margin:2rem auto 1rem}
            h1{font-size:1.35rem;margin:1rem 0 .6rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:1.6rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 .3rem}
            a{color:var(--link)}a:focus-visible,button:focus-visible,input:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--link);outline-offset:2px}
            .skip{position:absolute;left:-100rem}.skip:focus{position:static}
            .wide{overflow-x:auto;max-width:100%}
            table{border-collapse:collapse;font-size:.92rem}th,td{padding:.25rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
            thead th{background:var(--soft);position:sticky;top:0;white-space:nowrap}
            td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
            td.text{overflow-wrap:anywhere;min-width:7rem}td.path{overflow-wrap:anywhere;min-width:14rem}
            tbody th{font-weight:normal}tr:target,section:target>h3{background:var(--mark)}
            th button,th a.sort{font:inherit;font-weight:600;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-decoration:none}
            th[aria-sort=ascending] button::after,th[aria-sort=ascending] a.sort::after{content:" \\2191"}
            th[aria-sort=descending] button::after,th[aria-sort=descending] a.sort::after{content:" \\2193"}
            .grid td,.grid th{padding:.15rem .35rem}.grid td.cell{text-align:center;min-width:1.9rem}
            .cell a{text-decoration:none;display:block}.there{color:var(--good)}.missing{color:var(--bad)}.kept,.writing{color:var(--wait)}
            form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:end;margin:.6rem 0}label{display:flex;flex-direction:column;font-size:.85rem;color:var(--dim)}
            label.grow{flex:1 1 18rem}label.row{flex-direction:row;gap:.4rem;align-items:center}
            input,button{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--line);border-radius:.3rem;padding:.3rem .5rem}
            input[type=text],input[type=search]{width:100%}button{background:var(--soft);cursor:pointer}
            .problem{border-left:.3rem solid var(--bad);padding:.3rem .8rem;background:var(--soft)}.problem pre{margin:.3rem 0}
            .note{color:var(--dim)}pre{overflow-x:auto;background:var(--soft);padding:.6rem;font-size:.85rem;border-radius:.3rem}
            code,pre{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}code{overflow-wrap:anywhere}
            dl.facts{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.15rem 1rem;margin:.4rem 0}
            dl.facts dt{color:var(--dim)}dl.facts dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}
            .plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:1rem}
            figure{margin:0}figcaption{color:var(--dim);font-size:.85rem;overflow-wrap:anywhere}
            .plots svg,.plots img,figure>img{max-width:100%;height:auto}
            .drawing{overflow:auto;border:1px solid var(--line);max-height:80vh}
            .sums{display:flex;flex-wrap:wrap;gap:.4rem 2rem;padding:0;list-style:none}.sums b{font-size:1.2rem;display:block}
            @media (max-width:500px){td.path,th.path{min-width:6rem;max-width:38vw}dl.facts{grid-template-columns:1fr}dl.facts dd{margin-bottom:.4rem}main,header,footer{padding-left:.7rem;padding-right:.7rem}}
            @media print{header nav,form,.skip,button.filter{display:none}.wide,.drawing{overflow:visible;max-height:none}thead th{position:static}a{color:inherit}
            body{font-size:10pt}}
            """
}
