{#
    Texts that a person takes for the same: names for `twin_names`, ids for `duplicate_hardware`.
    Nothing is joined on these; they only decide what is worth a look.
#}
{# A name without width, case, accents, white space, and with the letters of one look made one. #}
{% macro name_key(name) -%} {{ return(adapter.dispatch("name_key", "musterhouse")(name)) }} {%- endmacro %}

{#
    DuckDB has no NFKC: full-width forms are put right by hand, strip_accents takes composed and
    decomposed accents alike. Cyrillic and Greek letters become the Latin ones they look like.
#}
{% macro duckdb__name_key(name) -%}
    regexp_replace(
        replace(
            translate(
                lower(
                    strip_accents(
                        translate(
                            {{ name }},
                            '！＂＃＄％＆＇（）＊＋，－．／０１２３４５６７８９：；＜＝＞？＠ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ［＼］＾＿｀ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ｛｜｝～',
                            '!"#$%&''()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~'
                        )
                    )
                ),
                'авекмнорстухіјѕԁԛԝαβεζηικμνορτυχς',
                'abekmhopctyxijsdqwabezhikmnoptyxσ'
            ),
            'ß',
            'ss'
        ),
        '[\s\p{Z}\p{Cf}]',
        '',
        'g'
    )
{%- endmacro %}

{# Spark has no function for accents; the Java library it is built on, Commons Lang, has. #}
{% macro spark__name_key(name) -%}
    regexp_replace(
        replace(
            translate(
                lower(
                    reflect(
                        'org.apache.commons.lang3.StringUtils',
                        'stripAccents',
                        translate(
                            {{ name }},
                            '！＂＃＄％＆＇（）＊＋，－．／０１２３４５６７８９：；＜＝＞？＠ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ［＼］＾＿｀ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ｛｜｝～',
                            '!"#$%&''()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~'
                        )
                    )
                ),
                'авекмнорстухіјѕԁԛԝαβεζηικμνορτυχς',
                'abekmhopctyxijsdqwabezhikmnoptyxσ'
            ),
            'ß',
            'ss'
        ),
        r'[\s\p{Z}\p{Cf}]',
        ''
    )
{%- endmacro %}

{# An id without case, white space and punctuation. #}
{% macro hardware_key(id) -%} {{ return(adapter.dispatch("hardware_key", "musterhouse")(id)) }} {%- endmacro %}

{% macro duckdb__hardware_key(id) -%} regexp_replace(lower({{ id }}), '[\s\p{Z}\p{P}]', '', 'g') {%- endmacro %}

{% macro spark__hardware_key(id) -%} regexp_replace(lower({{ id }}), r'[\s\p{Z}\p{P}]', '') {%- endmacro %}

{# Something before the @, and a domain with a dot after it. #}
{% macro looks_like_email(id) -%} {{ return(adapter.dispatch("looks_like_email", "musterhouse")(id)) }} {%- endmacro %}

{% macro duckdb__looks_like_email(id) -%} regexp_full_match({{ id }}, '[^@\s]+@[^@\s]+\.[^@\s]+') {%- endmacro %}

{% macro spark__looks_like_email(id) -%} regexp_like({{ id }}, r'\A[^@\s]+@[^@\s]+\.[^@\s]+\z') {%- endmacro %}
