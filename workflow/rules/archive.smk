# Raw tables from a user's own files.
rule import_files:
    input:
        source_files(SETTINGS),
    output:
        parts("<results>/raw/gaia_source/part-{part}.parquet"),
    log:
        "<logs>/import_files.log",
    benchmark:
        "<benchmarks>/import_files.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        adapter=ADAPTER,
        code=code("import_files"),
    message:
        "Sort the files of the release into HEALPix partitions"
    script:
        "../../scripts/import_files.py"
