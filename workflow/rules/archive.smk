# Raw tables: the Gaia source table of a release, from whichever source it has.
if IS_SKY:

    rule tabulate_galaxy:
        output:
            "<results>/truth/galaxy.h5",
        log:
            "<logs>/tabulate_galaxy.log",
        benchmark:
            "<benchmarks>/tabulate_galaxy.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=30,
        params:
            components=ADAPTER["source"]["components"],
            code=code("tabulate_galaxy"),
        message:
            "Integrate the distribution functions of the embedded sky"
        script:
            "../../scripts/tabulate_galaxy.py"

    rule synthesize_sky:
        input:
            galaxy="<results>/truth/galaxy.h5",
        output:
            source="<results>/raw/gaia_source/part-{part}.parquet",
            truth="<results>/truth/gaia_source/part-{part}.parquet",
        log:
            "<logs>/synthesize_sky/part-{part}.log",
        benchmark:
            "<benchmarks>/synthesize_sky/part-{part}.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            mem_mb=1500,
            runtime=60,
        params:
            adapter=ADAPTER,
            seed=SETTINGS.seed,
            code=code("synthesize_sky"),
        message:
            "Draw the stars of partition {wildcards.part} of the embedded sky"
        script:
            "../../scripts/synthesize_sky.py"

else:

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
