# Clean catalogues, shared by the studies.
rule clean_stars:
    input:
        "<results>/raw/gaia_source/part-{part}.parquet",
    output:
        stars="<results>/catalogs/stars/part-{part}.parquet",
        counts="<results>/catalogs/stars/part-{part}.json",
    log:
        "<logs>/clean_stars/part-{part}.log",
    benchmark:
        "<benchmarks>/clean_stars/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        adapter=ADAPTER,
        code=code("clean_stars"),
    message:
        "Correct the parallaxes of partition {wildcards.part}"
    script:
        "../../scripts/clean_stars.py"
