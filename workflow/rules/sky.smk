# The embedded sky: its Galaxy, and what the surveys make of it. Truth is for the ledger alone; the
# rules here make it.


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
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        components=ADAPTER["source"]["components"],
        code=code("tabulate_galaxy"),
    message:
        "Integrate the distribution functions of the embedded sky"
    script:
        "../../scripts/tabulate_galaxy.py"


rule evolve_stars:
    output:
        "<results>/truth/stars.h5",
    log:
        "<logs>/evolve_stars.log",
    benchmark:
        "<benchmarks>/evolve_stars.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        populations=sky_part("components", "barred", "clusters"),
        seed=SETTINGS.seed,
        code=code("evolve_stars"),
    message:
        "Evolve the stars of the embedded sky"
    script:
        "../../scripts/evolve_stars.py"


rule map_dust:
    output:
        "<results>/raw/dust_map.h5",
    log:
        "<logs>/map_dust.log",
    benchmark:
        "<benchmarks>/map_dust.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        dust=ADAPTER["source"]["dust"],
        seed=SETTINGS.seed,
        code=code("map_dust"),
    message:
        "Map the dust of the embedded sky"
    script:
        "../../scripts/map_dust.py"


rule plan_sky:
    input:
        galaxy="<results>/truth/galaxy.h5",
        stellar_library="<results>/truth/stars.h5",
        dust="<results>/raw/dust_map.h5",
    output:
        "<results>/truth/plan.h5",
    log:
        "<logs>/plan_sky.log",
    benchmark:
        "<benchmarks>/plan_sky.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        adapter=SKY_ADAPTER,
        seed=SETTINGS.seed,
        code=code("plan_sky"),
    message:
        "Find where the visible stars of the embedded sky are"
    script:
        "../../scripts/plan_sky.py"


rule synthesize_sky:
    input:
        galaxy="<results>/truth/galaxy.h5",
        stellar_library="<results>/truth/stars.h5",
        dust="<results>/raw/dust_map.h5",
        plan="<results>/truth/plan.h5",
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
        mem_mb=memory(2500),
        runtime=minutes(60),
    params:
        adapter=SKY_ADAPTER,
        seed=SETTINGS.seed,
        code=code("synthesize_sky"),
    message:
        "Draw the stars of partition {wildcards.part} of the embedded sky"
    script:
        "../../scripts/synthesize_sky.py"


rule synthesize_surveys:
    input:
        gaia="<results>/raw/gaia_source/part-{part}.parquet",
        truth="<results>/truth/gaia_source/part-{part}.parquet",
        dust="<results>/raw/dust_map.h5",
    output:
        **{name: f"<results>/raw/{name}/part-{{part}}.parquet" for name in SKY_SURVEYS},
        known="<results>/truth/surveys/part-{part}.parquet",
    log:
        "<logs>/synthesize_surveys/part-{part}.log",
    benchmark:
        "<benchmarks>/synthesize_surveys/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000, per_input_mb=20),
        runtime=minutes(60),
    params:
        adapter=SKY_ADAPTER,
        seed=SETTINGS.seed,
        code=code("synthesize_surveys"),
    message:
        "Observe partition {wildcards.part} of the embedded sky with other surveys"
    script:
        "../../scripts/synthesize_surveys.py"


rule synthesize_spectra:
    input:
        gaia="<results>/raw/gaia_source/part-{part}.parquet",
        truth="<results>/truth/gaia_source/part-{part}.parquet",
        apogee="<results>/raw/apogee_dr17_allstar/part-{part}.parquet",
    output:
        served="<results>/raw/xp_continuous_mean_spectrum/part-{part}.parquet",
        known="<results>/truth/xp/part-{part}.parquet",
    log:
        "<logs>/synthesize_spectra/part-{part}.log",
    benchmark:
        "<benchmarks>/synthesize_spectra/part-{part}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000, per_input_mb=100),
        runtime=minutes(120),
    params:
        adapter=SKY_ADAPTER,
        seed=SETTINGS.seed,
        code=code("synthesize_spectra"),
    message:
        "Serve the XP spectra of partition {wildcards.part}"
    script:
        "../../scripts/synthesize_spectra.py"


rule synthesize_clusters:
    input:
        gaia=parts("<results>/raw/gaia_source/part-{part}.parquet"),
        truth=parts("<results>/truth/gaia_source/part-{part}.parquet"),
    output:
        clusters="<results>/raw/hunt2023_clusters.parquet",
        members="<results>/raw/hunt2023_members.parquet",
    log:
        "<logs>/synthesize_clusters.log",
    benchmark:
        "<benchmarks>/synthesize_clusters.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        adapter=SKY_ADAPTER,
        seed=SETTINGS.seed,
        code=code("synthesize_clusters"),
    message:
        "List the open clusters of the embedded sky"
    script:
        "../../scripts/synthesize_clusters.py"


rule synthesize_pulsars:
    output:
        timing="<results>/raw/psrcat.parquet",
        accelerations="<results>/raw/pulsar_accelerations.parquet",
    log:
        "<logs>/synthesize_pulsars.log",
    benchmark:
        "<benchmarks>/synthesize_pulsars.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        adapter=SKY_ADAPTER,
        seed=SETTINGS.seed,
        code=code("synthesize_pulsars"),
    message:
        "Time the binary pulsars of the embedded sky"
    script:
        "../../scripts/synthesize_pulsars.py"


rule portray_sky:
    input:
        gaia=parts("<results>/raw/gaia_source/part-{part}.parquet"),
        apogee=parts("<results>/raw/apogee_dr17_allstar/part-{part}.parquet"),
        xp=parts("<results>/raw/xp_continuous_mean_spectrum/part-{part}.parquet"),
        dust="<results>/raw/dust_map.h5",
    output:
        collect("<results>/sky/data/{figure}.parquet", figure=FIGURES["sky"]),
    log:
        "<logs>/portray_sky.log",
    benchmark:
        "<benchmarks>/portray_sky.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        code=code("portray_sky"),
    message:
        "Bin what the tables of the embedded sky contain"
    script:
        "../../scripts/portray_sky.py"


rule describe_sky:
    input:
        "<results>/truth/galaxy.h5",
    output:
        csv="<results>/sky/tables/tab01.csv",
    log:
        "<logs>/describe_sky.log",
    benchmark:
        "<benchmarks>/describe_sky.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        components=ADAPTER["source"]["components"],
        code=code("describe_sky"),
    message:
        "Compare the embedded Galaxy near the Sun with published properties"
    script:
        "../../scripts/describe_sky.py"
