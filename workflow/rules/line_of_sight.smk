# Dropulic et al. (2022): line-of-sight velocities from five-parameter astrometry.
rule select_line_of_sight:
    input:
        "<results>/catalogs/stars/part-{part}.parquet",
    output:
        sample="<results>/line_of_sight/sample/part-{part}.parquet",
        counts="<results>/line_of_sight/sample/part-{part}.json",
    log:
        "<logs>/select_line_of_sight/part-{part}.log",
    benchmark:
        "<benchmarks>/select_line_of_sight/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        adapter=ADAPTER,
        study=subset_of("line_of_sight", "cuts", "cross_validation"),
        code=code("select_line_of_sight"),
    message:
        "Apply the base cut to partition {wildcards.part}"
    script:
        "../../scripts/select_line_of_sight.py"


rule sort_line_of_sight_folds:
    input:
        parts("<results>/line_of_sight/sample/part-{part}.parquet"),
    output:
        rounds("<results>/line_of_sight/folds/fold{round}.parquet"),
    log:
        "<logs>/sort_line_of_sight_folds.log",
    benchmark:
        "<benchmarks>/sort_line_of_sight_folds.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        adapter=ADAPTER,
        study=subset_of("line_of_sight", "cross_validation"),
        code=code("sort_line_of_sight_folds"),
    message:
        "Sort stars with a velocity into cross-validation subsets"
    script:
        "../../scripts/sort_line_of_sight_folds.py"


rule train_line_of_sight:
    input:
        training=fold("training"),
        validation=fold("validation"),
    output:
        model="<results>/models/line_of_sight/round{round}.keras",
        history="<results>/models/line_of_sight/round{round}.history.parquet",
    log:
        "<logs>/train_line_of_sight/round{round}.log",
    benchmark:
        "<benchmarks>/train_line_of_sight/round{round}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        study=subset_of("line_of_sight", "cuts", "network", "training"),
        seed=SETTINGS.seed,
        code=code("train_line_of_sight"),
    message:
        "Train the network of round {wildcards.round}"
    script:
        "../../scripts/train_line_of_sight.py"


rule predict_line_of_sight:
    input:
        sample="<results>/line_of_sight/sample/part-{part}.parquet",
        models=rounds("<results>/models/line_of_sight/round{round}.keras"),
    output:
        "<results>/line_of_sight/predictions/part-{part}.parquet",
    log:
        "<logs>/predict_line_of_sight/part-{part}.log",
    benchmark:
        "<benchmarks>/predict_line_of_sight/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        round_without_velocity=SETTINGS.line_of_sight.cross_validation.round_without_velocity,
        healpix_order=SETTINGS.adapter.healpix_order,
        code=code("predict_line_of_sight"),
    message:
        "Predict the velocities of partition {wildcards.part}"
    script:
        "../../scripts/predict_line_of_sight.py"


rule sample_line_of_sight:
    input:
        sample="<results>/line_of_sight/sample/part-{part}.parquet",
        predictions="<results>/line_of_sight/predictions/part-{part}.parquet",
    output:
        "<results>/line_of_sight/orbits/part-{part}.parquet",
    log:
        "<logs>/sample_line_of_sight/part-{part}.log",
    benchmark:
        "<benchmarks>/sample_line_of_sight/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        study=subset_of("line_of_sight", "error_sampling", "frame", "frames", "orbits"),
        seed=SETTINGS.seed,
        healpix_order=SETTINGS.adapter.healpix_order,
        code=code("sample_line_of_sight"),
    message:
        "Draw velocities and integrate orbits of partition {wildcards.part}"
    script:
        "../../scripts/sample_line_of_sight.py"


rule accumulate_line_of_sight:
    input:
        sample="<results>/line_of_sight/sample/part-{part}.parquet",
        predictions="<results>/line_of_sight/predictions/part-{part}.parquet",
        orbits="<results>/line_of_sight/orbits/part-{part}.parquet",
    output:
        "<results>/line_of_sight/statistics/part-{part}.h5",
    log:
        "<logs>/accumulate_line_of_sight/part-{part}.log",
    benchmark:
        "<benchmarks>/accumulate_line_of_sight/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        study=subset_of(
            "line_of_sight",
            "cuts",
            "cross_validation",
            "error_sampling",
            "frame",
            "frames",
            "binning",
        ),
        seed=SETTINGS.seed,
        code=code("accumulate_line_of_sight"),
    message:
        "Accumulate the statistics of partition {wildcards.part}"
    script:
        "../../scripts/accumulate_line_of_sight.py"


rule summarise_line_of_sight:
    input:
        parts("<results>/line_of_sight/statistics/part-{part}.h5"),
    output:
        fig01="<results>/line_of_sight/data/fig01.parquet",
        fig02="<results>/line_of_sight/data/fig02.parquet",
        fig03="<results>/line_of_sight/data/fig03.parquet",
        tab01="<results>/line_of_sight/data/tab01.parquet",
        numbers="<results>/line_of_sight/data/numbers.json",
    log:
        "<logs>/summarise_line_of_sight.log",
    benchmark:
        "<benchmarks>/summarise_line_of_sight.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        study=subset_of("line_of_sight", "cuts", "cross_validation"),
        code=code("summarise_line_of_sight"),
    message:
        "Merge the statistics into the data behind figures and tables"
    script:
        "../../scripts/summarise_line_of_sight.py"


rule tabulate_line_of_sight:
    input:
        "<results>/line_of_sight/data/tab01.parquet",
    output:
        csv=report(
            "<results>/line_of_sight/tables/tab01.csv",
            caption="../report/caption.rst",
            category="line_of_sight",
            labels={"item": "tab01", "kind": "table"},
        ),
        tex="<results>/line_of_sight/tables/tab01.tex",
    log:
        "<logs>/tabulate_line_of_sight.log",
    benchmark:
        "<benchmarks>/tabulate_line_of_sight.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        study=subset_of("line_of_sight", "cuts"),
        published=published("line_of_sight"),
        caption=caption_of("line_of_sight", "tab01"),
        code=code("tabulate_line_of_sight"),
    message:
        "Write Table 1"
    script:
        "../../scripts/tabulate_line_of_sight.py"


rule publish_line_of_sight:
    input:
        sample=parts("<results>/line_of_sight/sample/part-{part}.parquet"),
        predictions=parts("<results>/line_of_sight/predictions/part-{part}.parquet"),
        orbits=parts("<results>/line_of_sight/orbits/part-{part}.parquet"),
    output:
        directory("<results>/line_of_sight/catalogs/{catalogue}"),
    log:
        "<logs>/publish_line_of_sight/{catalogue}.log",
    benchmark:
        "<benchmarks>/publish_line_of_sight/{catalogue}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        study=subset_of("line_of_sight", "cuts", "error_sampling", "frame", "frames"),
        seed=SETTINGS.seed,
        healpix_order=SETTINGS.adapter.healpix_order,
        code=code("publish_line_of_sight"),
    message:
        "Write the catalogue {wildcards.catalogue}"
    script:
        "../../scripts/publish_line_of_sight.py"


if IS_SKY:

    # The only rule of the study that reads truth. It feeds the ledger.
    rule compare_line_of_sight:
        input:
            sample="<results>/line_of_sight/sample/part-{part}.parquet",
            predictions="<results>/line_of_sight/predictions/part-{part}.parquet",
            truth="<results>/truth/gaia_source/part-{part}.parquet",
            galaxy="<results>/truth/galaxy.h5",
            stellar_library="<results>/truth/stars.h5",
            dust="<results>/raw/dust_map.h5",
        output:
            "<results>/line_of_sight/truth/part-{part}.h5",
        log:
            "<logs>/compare_line_of_sight/part-{part}.log",
        benchmark:
            "<benchmarks>/compare_line_of_sight/part-{part}.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=120,
        params:
            adapter=ADAPTER,
            study=subset_of("line_of_sight", "cuts", "orbits", "closure"),
            seed=SETTINGS.seed,
            code=code("compare_line_of_sight"),
        message:
            "Compare partition {wildcards.part} with the truth of the sky"
        script:
            "../../scripts/compare_line_of_sight.py"
