"""Two files that Flax 0.12.8 wrote with ``flax.serialization.to_bytes``, deflated.

Flax brings JAX along, so the tests do not need it. ``NET`` holds the variables of a small network
of most layers that ``flax.linen`` has; in the sorted order of its leaves, leaf ``i`` counts up from
``100 * i``. ``STATE`` is a training state, written with pieces of 40 bytes instead of 1 GiB.
"""

from __future__ import annotations

import base64
import zlib

NET = zlib.decompress(
    base64.b85decode(
        b"c-no{&ud&&6u|K_nFO^6W}&G<h0%g!msiEwo!878+KQDy-RHg}uWig^<~cutwIC-"
        b"&5VeKTNZdY*Nhkq3cB{x;2nph17X1Tm{{YKd+i3izZ6=e3Y2cGLhkMSs_ucpF+U9iBoVh&JXhzM((&pq|@P4hnFc"
        b"n<;X(5iPTQB97zs+x4tkk0B8?XQItUUPBxA|vQ7o+;o@$E^GKk?V(dJ@&6g~s*6U8m=w#?h*CMUnG(x471ri7N5Y"
        b"jFqA&<cH#|Vy(LPQ9Y_Ql3F9~^?ZSfp<cz)tb~f~;`)4Cuf~-"
        b"vlUx3ND3?FT2t@uN19G1uWQQZ<UyhLfI6`(g?iSbg<{f+rW1$%6ShzpsI8)}BvzPUv$OKtXI7mPogb!Pvder(AT9"
        b"5RKo@aMRg2F-0_omp*EidPX50W#Hh-4@nWSSTX2bm#;!a-"
        b"(<p>U9x7zziuNDPI8Tq1_TK`s+R;UIIwP&mlP#85cMJTVjwQXz)IK^BOiaF8l76b@1&hQigtpToG?h|k8=xE@t{7"
        b"w5Iy@^^igntlI_DkvP}D)H6cHh#%Aj`S6LD*9C@DI7fH>re_Xuu!CM@Q`m9hk=D6g@cD&XB-"
        b"9=iWCkWa)a?3;l_j08GKK#khRiV_GwOY<Y0VU^hdhF!9!Nbhk=D6T@5!%3)AuJRIqe2-up2-"
        b"SG~0LIlZ15?)6GUZcz&Z3q=YC59u%t0}Dk82M_s$aTr)AQaE_XZN_0>Z-"
        b"<*_>$O&L=q>U1bD+P{0S+GWTlna0apZ~FrZ)^MbUWO9FS-"
        b")f5A}bUs)I8g6}>}$IQTpJy&un#yYz;Ey&L|1p;c+lor|N{u+}WsYqPDH<~z-"
        b"1Ty4(Ps#C!itMl=dzPoa$|81auGa(#2<Q}c>^)7FXyK=a%!1Bf-"
        b"0R|R|6b>G8pK%yiC{j3h$PVK$uu!CM@H^pZt<@Z`Hzr?_GAxpOseg$>`Qg4L>N6#2BSi-"
        b"eU3g@WV<j0y0Rarkut=b2BSi-eU3g^2N^76A;`+c1b<dFuj|?)(WTT}gZ0HyXC?J4A85Ri?ZKUYHp$m@;a-"
        b"4b;5Wt`ei{yA|Z855};z6r5CrE}x0!9186IQFQl7JK)ICSBWK~Az76cE6m42uMcHd1up(1k~KvUKx<3m-"
        b"mwK$ZsF`)-^9cx2<HwHZEJrv`lxCs+&$6Z>bhos+$f@JQb|Wn$iBjj%|dXd^`j4qbR;kkhn90Rarkut=b2BSi-"
        b"eU3g@Wx2Q(}0SwBpNT6sVMF$RDcw~?>)T4j^24z?zP_&Vv1BWg=vNNUs0Rzqk-~"
    )
)

STATE = zlib.decompress(
    base64.b85decode(
        b"c-ozjxlY4C5QZlQ5g>#j0SyuoC8f<(A!UQO<4C-L*(3{zg4dSUDbg)TLm5aziNQJOD50|e$ptTwN8k|{J0=u#to-"
        b"dSc@EF~zV?K}tW@8kHZ{c6V2^RZbfwj=Gn=!^_N%TN;=-"
        b"ckx?Zj}c%4;rYTLA_>+d~Lr50<sO4?O3{U|Eht`ck|x;L|f^GlOD8|xoy5FMGri{OJu<R0;n5dwLDY~EG>R<2@1K"
        b"?rh+oFNt>k!z%b+~wW%U<E7Flgcdi$H)+QMqct>sYXSxj7gbcDaul}KjxyT2qBW(lPA-"
        b"1bm34ZT&UeEn+@&+^NDV!SL0#J^bF4VU^FHUUH#LcR_xH?;Af7|p&j&Q7xrKu4&V@u<PjXpV>po~P>==Ch$b~(Lx"
        b"+}r_r%I+D3YQq`o#y{@Lg4UHqIX`rn;SR%JwFvL}!%iSyd`nu#mj{%zcete)?ktk5hwrPK`IcipkmAW33{B4gAzp"
        b"xIK1>e<DC4)?}=ySktk715=E<oB"
    )
)
