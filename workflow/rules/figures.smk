# Figures of all studies, each from its own small data file.
localrules:
    draw_figure,


rule draw_figure:
    input:
        "<results>/{study}/data/{figure}.parquet",
    output:
        pdf="<results>/{study}/figures/{figure}.pdf",
        png=report(
            "<results>/{study}/figures/{figure}.png",
            caption="../report/caption.rst",
            category="{study}",
            labels={"item": "{figure}", "kind": "figure"},
        ),
    log:
        "<logs>/draw_figure/{study}-{figure}.log",
    benchmark:
        "<benchmarks>/draw_figure/{study}-{figure}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        beside_head=1,
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        title=figure_title,
        caption=figure_caption,
        code=figure_code,
    message:
        "Draw {wildcards.figure} of {wildcards.study}"
    script:
        "../../scripts/draw_figure.py"
