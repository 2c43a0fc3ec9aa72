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
        mem_mb=memory(1500, per_input_mb=20),
        runtime=minutes(60),
    params:
        adapter=ADAPTER,
        code=code("clean_stars"),
    message:
        "Correct the parallaxes of partition {wildcards.part}"
    script:
        "../../scripts/clean_stars.py"


rule import_survey:
    input:
        unpack(survey_tables),
    output:
        "<results>/catalogs/surveys/{survey}.parquet",
    log:
        "<logs>/import_survey/{survey}.log",
    benchmark:
        "<benchmarks>/import_survey/{survey}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        survey=survey_settings,
        code=code("import_survey"),
    message:
        "Give the columns of survey {wildcards.survey} their standard names"
    script:
        "../../scripts/import_survey.py"


rule match_surveys:
    input:
        stars="<results>/catalogs/stars/part-{part}.parquet",
        surveys=collect(
            "<results>/catalogs/surveys/{survey}.parquet", survey=MATCHED_SURVEYS
        ),
    output:
        "<results>/catalogs/survey_matches/part-{part}.parquet",
    log:
        "<logs>/match_surveys/part-{part}.log",
    benchmark:
        "<benchmarks>/match_surveys/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500, per_input_mb=20),
        runtime=minutes(60),
    params:
        radius_arcsec={
            name: survey.radius_arcsec for name, survey in MATCHED_SURVEYS.items()
        },
        epoch=SETTINGS.adapter.epoch,
        healpix_order=SETTINGS.adapter.healpix_order,
        code=code("match_surveys"),
    message:
        "Match the stars of partition {wildcards.part} with spectroscopic surveys"
    script:
        "../../scripts/match_surveys.py"
