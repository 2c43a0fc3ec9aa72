# Dropulic et al. (2022): line-of-sight velocities from five-parameter astrometry. `{run}` is the
# study itself or one of its variants, which share the sample and whatever else is the same.
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
        mem_mb=memory(1500, per_input_mb=20),
        runtime=minutes(60),
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
        mem_mb=memory(2000),
        runtime=minutes(60),
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
        training=training_folds,
        validation=validation_fold,
    output:
        model="<results>/models/{run}/round{round}.keras",
        history="<results>/models/{run}/round{round}.history.parquet",
    log:
        "<logs>/train_line_of_sight/{run}/round{round}.log",
    benchmark:
        "<benchmarks>/train_line_of_sight/{run}/round{round}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2500, per_input_mb=20),
        runtime=minutes(720),
        gpu=SETTINGS.gpus,
    params:
        study=subset_of_run("cuts", *TRAINING),
        seed=SETTINGS.seed,
        code=code("train_line_of_sight"),
    message:
        "Train the network of round {wildcards.round} of {wildcards.run}"
    script:
        "../../scripts/train_line_of_sight.py"


rule predict_line_of_sight:
    input:
        sample="<results>/line_of_sight/sample/part-{part}.parquet",
        models=models_of_run,
    output:
        "<results>/{run}/predictions/part-{part}.parquet",
    log:
        "<logs>/predict_line_of_sight/{run}/part-{part}.log",
    benchmark:
        "<benchmarks>/predict_line_of_sight/{run}/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000, per_input_mb=20),
        runtime=minutes(120),
    params:
        round_without_velocity=SETTINGS.line_of_sight.cross_validation.round_without_velocity,
        healpix_order=SETTINGS.adapter.healpix_order,
        code=code("predict_line_of_sight"),
    message:
        "Predict the velocities of partition {wildcards.part} for {wildcards.run}"
    script:
        "../../scripts/predict_line_of_sight.py"


rule accumulate_line_of_sight:
    input:
        sample="<results>/line_of_sight/sample/part-{part}.parquet",
        predictions=predictions_of_run,
        matches="<results>/catalogs/survey_matches/part-{part}.parquet",
    output:
        statistics="<results>/{run}/statistics/part-{part}.h5",
        orbits="<results>/{run}/orbits/part-{part}.parquet",
        candidates="<results>/{run}/candidates/part-{part}.parquet",
    log:
        "<logs>/accumulate_line_of_sight/{run}/part-{part}.log",
    benchmark:
        "<benchmarks>/accumulate_line_of_sight/{run}/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000, per_input_mb=40),
        runtime=minutes(240),
    params:
        study=subset_of_run(
            "cuts",
            "cross_validation",
            "error_sampling",
            "frame",
            "frames",
            "orbits",
            "binning",
            "debris",
        ),
        seed=SETTINGS.seed,
        healpix_order=SETTINGS.adapter.healpix_order,
        code=code("accumulate_line_of_sight"),
    message:
        "Draw velocities and integrate orbits of partition {wildcards.part} for {wildcards.run}"
    script:
        "../../scripts/accumulate_line_of_sight.py"


rule summarise_line_of_sight:
    input:
        parts("<results>/{{run}}/statistics/part-{part}.h5"),
    output:
        **{
            figure: f"<results>/{{run}}/data/{figure}.parquet"
            for figure in (*(f"fig{n:02d}" for n in range(1, 12)), "tab01")
        },
        numbers="<results>/{run}/data/numbers.json",
        statistics="<results>/{run}/data/statistics.h5",
    log:
        "<logs>/summarise_line_of_sight/{run}.log",
    benchmark:
        "<benchmarks>/summarise_line_of_sight/{run}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        study=subset_of_run(
            "cuts",
            "cross_validation",
            "error_sampling",
            "frame",
            "frames",
            "binning",
            "debris",
        ),
        code=code("summarise_line_of_sight"),
    message:
        "Merge the statistics of {wildcards.run} into the data behind figures and tables"
    script:
        "../../scripts/summarise_line_of_sight.py"


rule tabulate_line_of_sight:
    input:
        tab01="<results>/line_of_sight/data/tab01.parquet",
        numbers="<results>/line_of_sight/data/numbers.json",
    output:
        tab01=report(
            "<results>/line_of_sight/tables/tab01.csv",
            caption="../report/caption.rst",
            category="line_of_sight",
            labels={"item": "tab01", "kind": "table"},
        ),
        tab02=report(
            "<results>/line_of_sight/tables/tab02.csv",
            caption="../report/caption.rst",
            category="line_of_sight",
            labels={"item": "tab02", "kind": "table"},
        ),
        tab01_tex="<results>/line_of_sight/tables/tab01.tex",
        tab02_tex="<results>/line_of_sight/tables/tab02.tex",
    log:
        "<logs>/tabulate_line_of_sight.log",
    benchmark:
        "<benchmarks>/tabulate_line_of_sight.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        study=subset_of("line_of_sight", "cuts", "debris"),
        published=published("line_of_sight"),
        caption=caption_of("line_of_sight", "tab01"),
        code=code("tabulate_line_of_sight"),
    message:
        "Write Tables 1 and 2"
    script:
        "../../scripts/tabulate_line_of_sight.py"


rule contrast_line_of_sight:
    input:
        numbers=collect("<results>/{run}/data/numbers.json", run=RUNS),
        statistics=collect("<results>/{run}/data/statistics.h5", run=PREDICTORS),
        recovered=collect(
            "<results>/{run}/data/recovered.json", run=RUNS if IS_SKY else []
        ),
        recovery=collect(
            "<results>/{run}/data/recovery.h5", run=PREDICTORS if IS_SKY else []
        ),
    output:
        fig12="<results>/line_of_sight/data/fig12.parquet",
        tab03=report(
            "<results>/line_of_sight/tables/tab03.csv",
            caption="../report/caption.rst",
            category="line_of_sight",
            labels={"item": "tab03", "kind": "table"},
        ),
        tex="<results>/line_of_sight/tables/tab03.tex",
        fig13="<results>/line_of_sight/data/fig13.parquet" if IS_SKY else [],
    log:
        "<logs>/contrast_line_of_sight.log",
    benchmark:
        "<benchmarks>/contrast_line_of_sight.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        variants=list(RUNS.values()),
        predictors=list(PREDICTORS.values()),
        caption=caption_of("line_of_sight", "tab03"),
        code=code("contrast_line_of_sight"),
    message:
        "Set the study and its variants side by side"
    script:
        "../../scripts/contrast_line_of_sight.py"


rule publish_line_of_sight:
    input:
        sample=parts("<results>/line_of_sight/sample/part-{part}.parquet"),
        predictions=all_predictions_of_run,
        orbits=parts("<results>/{{run}}/orbits/part-{part}.parquet"),
        candidates=parts("<results>/{{run}}/candidates/part-{part}.parquet"),
    output:
        directory("<results>/{run}/catalogs/{catalogue}"),
    log:
        "<logs>/publish_line_of_sight/{run}/{catalogue}.log",
    benchmark:
        "<benchmarks>/publish_line_of_sight/{run}/{catalogue}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
    params:
        adapter=ADAPTER,
        code=code("publish_line_of_sight"),
    message:
        "Write the catalogue {wildcards.catalogue} of {wildcards.run}"
    script:
        "../../scripts/publish_line_of_sight.py"


if IS_SKY:

    # The rules of the study that read truth. They feed the ledger, Figure 13 and Table 3.
    rule reveal_line_of_sight:
        input:
            sample="<results>/line_of_sight/sample/part-{part}.parquet",
            matches="<results>/catalogs/survey_matches/part-{part}.parquet",
            truth="<results>/truth/gaia_source/part-{part}.parquet",
            galaxy="<results>/truth/galaxy.h5",
            stellar_library="<results>/truth/stars.h5",
            dust="<results>/raw/dust_map.h5",
        output:
            statistics="<results>/line_of_sight/truth/part-{part}.h5",
            stars="<results>/line_of_sight/truth/part-{part}.parquet",
        log:
            "<logs>/reveal_line_of_sight/part-{part}.log",
        benchmark:
            "<benchmarks>/reveal_line_of_sight/part-{part}.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000, per_input_mb=10),
            runtime=minutes(120),
        params:
            adapter=ADAPTER,
            study=subset_of(
                "line_of_sight",
                "cuts",
                "cross_validation",
                "orbits",
                "binning",
                "debris",
                "closure",
            ),
            seed=SETTINGS.seed,
            code=code("reveal_line_of_sight"),
        message:
            "Measure the true orbits of partition {wildcards.part}"
        script:
            "../../scripts/reveal_line_of_sight.py"

    rule compare_line_of_sight:
        input:
            sample="<results>/line_of_sight/sample/part-{part}.parquet",
            predictions=predictions_of_run,
            orbits="<results>/{run}/orbits/part-{part}.parquet",
            candidates="<results>/{run}/candidates/part-{part}.parquet",
            truth="<results>/line_of_sight/truth/part-{part}.parquet",
        output:
            "<results>/{run}/comparison/part-{part}.h5",
        log:
            "<logs>/compare_line_of_sight/{run}/part-{part}.log",
        benchmark:
            "<benchmarks>/compare_line_of_sight/{run}/part-{part}.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000, per_input_mb=40),
            runtime=minutes(120),
        params:
            study=subset_of_run("cuts", "error_sampling", "binning"),
            code=code("compare_line_of_sight"),
        message:
            "Compare partition {wildcards.part} of {wildcards.run} with the truth of the sky"
        script:
            "../../scripts/compare_line_of_sight.py"

    rule recover_line_of_sight:
        input:
            revealed=parts("<results>/line_of_sight/truth/part-{part}.h5"),
            comparison=parts("<results>/{{run}}/comparison/part-{part}.h5"),
            numbers="<results>/{run}/data/numbers.json",
        output:
            recovered="<results>/{run}/data/recovered.json",
            recovery="<results>/{run}/data/recovery.h5",
        log:
            "<logs>/recover_line_of_sight/{run}.log",
        benchmark:
            "<benchmarks>/recover_line_of_sight/{run}.tsv"
        conda:
            "../../envs/main.yaml"
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(30),
        params:
            settings=SETTINGS.model_dump(mode="json", exclude={"conditional_potential"}),
            variant=variant_of_run,
            code=code("recover_line_of_sight"),
        message:
            "Set {wildcards.run} against the truth of the sky"
        script:
            "../../scripts/recover_line_of_sight.py"
