# Raw tables from the archives, or from a user's own files.
localrules:
    check_readiness,
    acquire_table,


rule check_readiness:
    output:
        "<results>/preflight/{wanted}.json",
    log:
        "<logs>/check_readiness/{wanted}.log",
    benchmark:
        "<benchmarks>/check_readiness/{wanted}.tsv"
    wildcard_constraints:
        wanted="run|inputs",
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        beside_head=1,
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        config=config,
        root=str(ROOT),
        inputs=lambda wildcards: wildcards.wanted == "inputs",
        code=code("check_readiness"),
    message:
        "See whether archives, disk and packages are there ({wildcards.wanted})"
    script:
        "../../scripts/check_readiness.py"


rule acquire_table:
    input:
        # Looked at once; what is there already does not need it.
        lambda wildcards: ancient(
            "<results>/preflight/run.json"
            if REQUESTS[wildcards.table].needed
            else "<results>/preflight/inputs.json"
        ),
        ids=lambda wildcards: id_files(SETTINGS, REQUESTS[wildcards.table]),
    output:
        f"{SETTINGS.archives.folder}/{SETTINGS.release}/{{table}}/acquired.json",
    log:
        "<logs>/acquire_table/{table}.log",
    benchmark:
        "<benchmarks>/acquire_table/{table}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: SETTINGS.archives.files_at_once
    resources:
        beside_head=1,
        mem_mb=memory(1000 * SETTINGS.archives.files_at_once + 1000),
        runtime=minutes(2880),
    params:
        request=lambda wildcards: REQUESTS[wildcards.table].as_dict(),
        # What an edit of a query changes; fetched pieces of another query are not ours.
        query=lambda wildcards: (
            digest(REQUESTS[wildcards.table].query)
            if REQUESTS[wildcards.table].query
            else ""
        ),
        settings=SETTINGS.archives.model_dump(mode="json"),
        # What is fetched stays: after an edit of the code only the list of it is made again.
        code=code("acquire_table"),
    message:
        "Fetch table {wildcards.table} of the release"
    script:
        "../../scripts/acquire_table.py"


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
        mem_mb=memory(4000),
        runtime=minutes(240),
    params:
        adapter=ADAPTER,
        code=code("import_files"),
    message:
        "Sort the files of the release into HEALPix partitions"
    script:
        "../../scripts/import_files.py"
